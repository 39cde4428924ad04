/** The bell with its count, and the list of notifications behind it. */
import type { HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import type { ChannelState, Notification } from "../../src/protocol";
import type { Inbox } from "../../src/store";
import { clock, find, make } from "./dom";
import { toast } from "./toasts";

export function bell(hub: HubClient): Off[] {
  const all = find<HTMLButtonElement>("mark-all");
  const markAll = (): void => tried(hub.markAllRead());
  all.addEventListener("click", markAll);
  show(hub, hub.inbox);
  return [hub.on("inbox", (inbox) => show(hub, inbox)), () => all.removeEventListener("click", markAll)];
}

function show(hub: HubClient, { notifications, unread }: Inbox): void {
  const badge = find("badge");
  badge.hidden = unread === 0;
  badge.textContent = unread > 9 ? "9+" : String(unread);
  find("bell").setAttribute("aria-label", `Notifications, ${unread} unread`);
  find("mark-all").hidden = unread === 0;
  find("inbox-empty").hidden = notifications.length > 0;
  find("notifications").replaceChildren(...notifications.map((item) => row(hub, item)));
}

function row(hub: HubClient, item: Notification): HTMLElement {
  return make(
    "li",
    { class: item.read ? "note" : "note unread", "data-id": item.id, "data-severity": item.severity },
    make(
      "div",
      {},
      make("strong", {}, item.title ?? item.type),
      item.message ? make("p", {}, item.message) : null,
      make("p", { class: "meta" }, clock(item.createdAt), ...item.channels.map(channel)),
    ),
    item.read
      ? null
      : make(
          "button",
          { type: "button", class: "quiet", "data-testid": "mark-read", click: () => tried(hub.markRead(item.id)) },
          "Mark read",
        ),
  );
}

function channel({ channel, status }: ChannelState): HTMLElement {
  return make("span", { class: "status", "data-status": status }, `${channel} ${status}`);
}

function tried(request: Promise<void>): void {
  request.catch((fault: unknown) => toast("That did not work", String(fault), "error"));
}
