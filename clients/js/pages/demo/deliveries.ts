/**
 * Each delivery with its latest status; one line per delivery, however often it changes and whoever is told. Changes are not
 * replayed, so what was under way when the line was lost is no longer shown.
 */
import type { HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import type { DeliveryUpdate } from "../../src/protocol";
import { clock, find, make, prepend } from "../dom";

const MOST = 8;
const OVER = new Set(["sent", "delivered", "opened", "dead", "skipped", "cancelled"]);

export function deliveries(hub: HubClient): Off[] {
  return [
    hub.on("delivery:update", show),
    hub.on("connection", ({ status }) => {
      if (status !== "online") forget();
    }),
  ];
}

/** Somebody else has other deliveries. */
export function forgetDeliveries(): void {
  find("deliveries").replaceChildren();
  find("deliveries-empty").hidden = false;
}

function forget(): void {
  for (const status of find("deliveries").querySelectorAll<HTMLElement>("[data-status]")) {
    if (!OVER.has(status.dataset.status ?? "")) status.closest("li")?.remove();
  }
}

function show(update: DeliveryUpdate): void {
  const list = find("deliveries");
  const row = make(
    "li",
    { class: "delivery", "data-testid": "delivery", "data-id": update.id },
    make("span", { class: "status", "data-status": update.status, "data-testid": "status" }, update.status),
    make("span", { class: "what" }, `${update.channel} to ${update.userId}`),
    clock(update.at),
    update.error ? make("p", { class: "meta" }, `${update.error} (attempt ${update.attempts})`) : null,
  );
  find("deliveries-empty").hidden = true;
  const known = list.querySelector(`[data-id="${CSS.escape(update.id)}"]`);
  if (known) known.replaceWith(row);
  else prepend(list, row, MOST);
}
