import { expect, test } from "vitest";
import { heard, NONE, settled, wished } from "../src/optimistic";
import type { Change } from "../src/store";
import { notification } from "./samples";

const live = (offset: number): Change => ({ kind: "notification", notification: notification(offset), counted: false });
const reading: Change = { kind: "read", ids: ["n1"], readAt: "2026-11-20T10:00:00.000Z" };

test("a wish shows at once, and is gone without a trace when the hub refuses", () => {
  const before = heard(NONE, live(1));
  const asked = wished(before, { key: 1, change: reading });
  expect([asked.shown.unread, asked.shown.notifications[0]?.read]).toEqual([0, true]);
  expect(settled(asked, 1, []).shown).toEqual(before.shown);
});

test("what was heard while a wish was open stays when it is taken back", () => {
  const asked = wished(heard(NONE, live(1)), { key: 1, change: { kind: "deleted", id: "n1" } });
  const meanwhile = heard(asked, live(2));
  expect(meanwhile.shown.notifications.map(({ id }) => id)).toEqual(["n2"]);
  const back = settled(meanwhile, 1, []);
  expect(back.shown.notifications.map(({ id }) => id)).toEqual(["n2", "n1"]);
  expect(back.shown.unread).toBe(2);
});

test("a mark that the hub tells before it answers counts once", () => {
  const asked = wished(heard(heard(NONE, live(1)), live(2)), { key: 1, change: reading });
  const told = heard(asked, { kind: "read", ids: ["n1"], readAt: "2026-11-20T10:00:01.000Z", unread: 1 });
  expect(told.shown.unread).toBe(1);
  expect(settled(told, 1, [{ kind: "count", unread: 1 }]).shown.unread).toBe(1);
});

test("one refused wish leaves the others", () => {
  const two = heard(heard(NONE, live(1)), live(2));
  const first = wished(two, { key: 1, change: reading });
  const both = wished(first, { key: 2, change: { kind: "deleted", id: "n2" } });
  expect(settled(both, 1, []).shown.notifications.map(({ id, read }) => [id, read])).toEqual([["n1", false]]);
});
