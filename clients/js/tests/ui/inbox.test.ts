import { afterEach, expect, test, vi } from "vitest";
import "../../src/ui/inbox";
import type { HubInbox } from "../../src/ui/inbox";
import { notification } from "../samples";
import { part, placed, press, PretendHub, settled, several } from "./pretend";

afterEach(() => {
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

const rows = (inbox: HTMLElement): HTMLElement[] => [...part(inbox, "notifications").querySelectorAll<HTMLElement>(".row")];
const titles = (inbox: HTMLElement): (string | null | undefined)[] =>
  rows(inbox).map((row) => row.querySelector(".name")?.textContent);
const act = (inbox: HTMLElement, at: number, name: string): void =>
  rows(inbox)[at]?.querySelector<HTMLElement>(`[data-testid="${name}"]`)?.click();

async function shown(hub: PretendHub, attributes: Record<string, string> = {}): Promise<HubInbox> {
  const inbox = placed("hub-inbox", await hub.client(), attributes);
  await settled();
  return inbox;
}

test("it comes page by page, and nothing twice when the places have moved meanwhile", async () => {
  const hub = new PretendHub(...several(7));
  const inbox = await shown(hub, { limit: "3" });
  expect(titles(inbox)).toEqual(["Title 7", "Title 6", "Title 5"]);
  hub.inbox = [notification(8, { title: "Unheard" }), ...hub.inbox];
  while (!part(inbox, "older").hidden) {
    part(inbox, "older").click();
    await settled();
  }
  expect(titles(inbox)).toEqual([7, 6, 5, 4, 3, 2, 1].map((n) => `Title ${n}`));
});

test("what arrives appears on top, where it belongs", async () => {
  const hub = new PretendHub(...several(2));
  const inbox = await shown(hub);
  await hub.arrives(notification(101, { title: "Fresh" }));
  expect(titles(inbox)).toEqual(["Fresh", "Title 2", "Title 1"]);
  part(inbox, "view-archived").click();
  await settled();
  await hub.arrives(notification(102, { title: "Fresher" }));
  expect(titles(inbox)).toEqual([]);
  expect(part(inbox, "inbox-empty").textContent).toBe("Nothing is archived");
});

test("only the unread ones, and only one type", async () => {
  const hub = new PretendHub(...several(3), notification(0, { title: "Paid", type: "payment.received" }));
  const inbox = await shown(hub);
  part(inbox, "view-unread").click();
  await settled();
  expect(titles(inbox)).toEqual(["Title 3", "Title 1", "Paid"]);
  const types = part(inbox, "type") as HTMLSelectElement;
  expect([...types.options].map((option) => option.value)).toEqual(["", "booking.created", "payment.received"]);
  types.value = "payment.received";
  types.dispatchEvent(new Event("change"));
  await settled();
  expect(titles(inbox)).toEqual(["Paid"]);
});

test("it is archived and brought back, and deleted for good", async () => {
  const hub = new PretendHub(...several(3));
  const inbox = await shown(hub);
  act(inbox, 1, "archive");
  expect(titles(inbox)).toEqual(["Title 3", "Title 1"]); // before the hub has answered
  await settled();
  part(inbox, "view-archived").click();
  await settled();
  expect(titles(inbox)).toEqual(["Title 2"]);
  act(inbox, 0, "unarchive");
  await settled();
  expect(titles(inbox)).toEqual([]);
  part(inbox, "view-all").click();
  await settled();
  act(inbox, 0, "remove");
  await settled();
  expect(hub.inbox.map((item) => item.id)).toEqual(["n2", "n1"]);
});

test("what the hub refuses is back in its place, and said", async () => {
  const hub = new PretendHub(...several(3));
  hub.answers["DELETE /notifications/n2"] = 503;
  hub.answers["PATCH /notifications/n3/read"] = 503;
  const inbox = await shown(hub);
  act(inbox, 1, "remove");
  expect(titles(inbox)).toEqual(["Title 3", "Title 1"]);
  await settled();
  expect(titles(inbox)).toEqual(["Title 3", "Title 2", "Title 1"]);
  expect(inbox.shadowRoot?.querySelector("[role=alert]")?.textContent).toBe("That did not work. Please try again.");
  act(inbox, 0, "toggle-read");
  expect(rows(inbox)[0]?.classList.contains("unread")).toBe(false);
  await settled();
  expect(rows(inbox)[0]?.classList.contains("unread")).toBe(true);
});

test("what is done in another window happens here", async () => {
  const hub = new PretendHub(...several(3));
  const inbox = await shown(hub, { channels: "" });
  await hub.says("notification:read", { ids: ["n3"], readAt: "2026-11-20T11:00:00.000Z", unreadCount: 1 });
  expect(rows(inbox)[0]?.classList.contains("unread")).toBe(false);
  await hub.says("notification:deleted", { id: "n2" });
  expect(titles(inbox)).toEqual(["Title 3", "Title 1"]);
  await hub.says("notification:updated", notification(1, { archivedAt: "2026-11-20T11:00:00.000Z" }));
  expect(titles(inbox)).toEqual(["Title 3"]);
  await hub.says("delivery:update", { id: "d1", notificationId: "n3", userId: "ana", channel: "email", status: "sent", attempts: 1, error: null, provider: "smtp", maybeDuplicate: false, at: "" });
  expect(rows(inbox)[0]?.querySelector(".chip")?.textContent).toBe("email sent");
});

test("a hub that is away is said, and asked again on request", async () => {
  const hub = new PretendHub(...several(2));
  const client = await hub.client();
  hub.answers["GET /notifications?"] = 503;
  const inbox = placed("hub-inbox", client);
  await settled();
  const fault = inbox.shadowRoot?.querySelector<HTMLElement>("[role=alert]");
  expect(fault?.textContent).toContain("could not be loaded");
  hub.answers = {};
  fault?.querySelector("button")?.click();
  await settled();
  expect(fault?.hidden).toBe(true);
  expect(rows(inbox)).toHaveLength(2);
});

test("arrows go through the rows, and the focus stays in the list when one goes", async () => {
  const hub = new PretendHub(...several(3));
  const inbox = await shown(hub);
  rows(inbox)[0]?.querySelector<HTMLElement>(".main")?.focus();
  const focused = (): HTMLElement | null | undefined => inbox.shadowRoot?.activeElement as HTMLElement | null;
  press(focused(), "ArrowDown");
  expect(focused()?.querySelector(".name")?.textContent).toBe("Title 2");
  act(inbox, 1, "archive");
  expect(focused()?.querySelector(".name")?.textContent).toBe("Title 1");
});
