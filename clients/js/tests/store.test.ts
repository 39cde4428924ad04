import { expect, test } from "vitest";
import { EMPTY, KEPT, reduce } from "../src/store";
import type { DeliveryUpdate } from "../src/protocol";
import type { Change, Inbox } from "../src/store";
import { connected, notification } from "./samples";
import { said } from "./wire";

const after = (...changes: Change[]): Inbox => changes.reduce(reduce, EMPTY);
const live = (offset: number): Change => ({
  kind: "notification",
  notification: notification(offset),
  counted: false,
});
const ids = (inbox: Inbox): string[] => inbox.notifications.map((item) => item.id);

test("the newest stands first, whatever the order of arrival", () => {
  expect(ids(after(live(2), live(10), live(9)))).toEqual(["n10", "n9", "n2"]);
});

test("places of different epochs are ordered by time", () => {
  const moved = notification(1, { id: "moved", cursor: "e2:1", createdAt: "2026-11-21T00:00:00.000Z" });
  const inbox = after(live(500), { kind: "notification", notification: moved, counted: false });
  expect(ids(inbox)).toEqual(["moved", "n500"]);
});

test("a duplicate is dropped and not counted, and the inbox stays the same object", () => {
  const once = after(live(1));
  expect(reduce(once, live(1))).toBe(once);
  expect(once.unread).toBe(1);
});

test("a replayed notification is in the list once and in the hub's count already", () => {
  const inbox = after(
    { kind: "connected", connected: connected({ unreadCount: 2, replayed: 2 }) },
    { kind: "notification", notification: notification(1), counted: true },
    { kind: "notification", notification: notification(2), counted: true },
    live(3),
  );
  expect(inbox.unread).toBe(3);
});

test("a hub that could not count leaves the count as it was", () => {
  const inbox = after(live(1), { kind: "connected", connected: connected({ unreadCount: null }) });
  expect(inbox.unread).toBe(1);
});

test("what arrived while the first page was on its way is kept and counted", () => {
  const inbox = after(live(1), live(3), {
    kind: "loaded",
    notifications: [notification(2), notification(1, { read: true })],
    unread: 1,
  });
  expect(ids(inbox)).toEqual(["n3", "n2", "n1"]);
  expect(inbox.notifications[2]?.read).toBe(true);
  expect(inbox.unread).toBe(2);
});

test("reading marks the item and takes the hub's count", () => {
  const inbox = after(live(1), live(2), { kind: "read", ids: ["n1"], readAt: "2026-11-20T10:00:00Z", unread: 7 });
  expect(inbox.notifications.map((item) => item.read)).toEqual([false, true]);
  expect(inbox.notifications[1]?.readAt).toBe("2026-11-20T10:00:00Z");
  expect(inbox.unread).toBe(7);
});

test("without a count from the hub, reading twice subtracts once", () => {
  const read: Change = { kind: "read", ids: ["n1"], readAt: null };
  expect(after(live(1), live(2), read, read).unread).toBe(1);
});

test("reading everything leaves nothing unread", () => {
  const inbox = after(live(1), live(2), { kind: "read_all", readAt: null, unread: 0 });
  expect(inbox.notifications.every((item) => item.read)).toBe(true);
  expect(inbox.unread).toBe(0);
});

test("deleting an unread notification lowers the count, a read or an unknown one does not", () => {
  const two = after(live(1), live(2), { kind: "read", ids: ["n1"], readAt: null });
  expect(reduce(two, { kind: "deleted", id: "n1" }).unread).toBe(1);
  expect(reduce(two, { kind: "deleted", id: "n2" }).unread).toBe(0);
  expect(reduce(two, { kind: "deleted", id: "n9" })).toBe(two);
});

test("a delivery changes the channel of its own reader's notification only", () => {
  const [, recorded] = said<DeliveryUpdate>("delivery-update");
  const update: DeliveryUpdate = { ...recorded, notificationId: "n1", status: "sent", attempts: 1 };
  const mine = after({ kind: "connected", connected: connected() }, live(1));
  const queued = reduce(mine, { kind: "delivery", update: { ...update, status: "queued" } });
  const sent = reduce(queued, { kind: "delivery", update });
  expect(sent.notifications[0]?.channels).toEqual([
    { channel: "email", status: "sent", attempts: 1, error: null },
  ]);
  expect(reduce(sent, { kind: "delivery", update: { ...update, userId: "bruno" } })).toBe(sent);
});

test("a reset forgets everything but whose inbox it is", () => {
  const inbox = after({ kind: "connected", connected: connected() }, live(1), { kind: "reset" });
  expect(inbox).toEqual({ ...EMPTY, userId: "ana" });
});

test("the list is bounded and drops the oldest", () => {
  const many = Array.from({ length: KEPT + 5 }, (_, offset) => live(offset));
  const inbox = after(...many);
  expect(inbox.notifications).toHaveLength(KEPT);
  expect(inbox.notifications.at(-1)?.id).toBe("n5");
});
