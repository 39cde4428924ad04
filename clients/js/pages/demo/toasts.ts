/** Short messages in the corner, for what arrives live. A replay is one toast, however long it was. */
import type { HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import { find, make } from "./dom";

const SHOWN_MS = 5000;
const MOST = 3;

export function toasts(hub: HubClient): Off[] {
  return [
    hub.on("notification", ({ envelope, replayed }) => {
      if (!replayed) toast(envelope.title ?? envelope.type, envelope.message ?? "", envelope.severity);
    }),
    hub.on("connected", ({ replayed }) => {
      if (replayed > 0) toast("Welcome back", `${replayed} missed ${replayed === 1 ? "event" : "events"} replayed`, "warning");
    }),
  ];
}

export function toast(title: string, text: string, severity: string): void {
  const corner = find("toasts");
  const element = make(
    "div",
    { class: "toast", "data-severity": severity, "data-testid": "toast", click: () => element.remove() },
    make("strong", {}, title),
    text ? make("p", {}, text) : null,
  );
  corner.append(element);
  while (corner.children.length > MOST) corner.firstElementChild?.remove();
  setTimeout(() => element.remove(), SHOWN_MS);
}
