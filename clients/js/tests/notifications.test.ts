import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HubError } from "../src/errors";
import { Notifications } from "../src/notifications";
import { Rest } from "../src/rest";
import type { Inbox } from "../src/store";
import { notification } from "./samples";

const asked: string[] = [];
/** Answers by what is asked. */
let answers: Record<string, Response | Promise<Response>>;
const shown: string[] = [];
let notifications: Notifications;

beforeEach(() => {
  [asked.length, shown.length, answers] = [0, 0, {}];
  vi.stubGlobal("fetch", async (address: string, { method }: RequestInit) => {
    const what = `${method} ${address.replace("http://hub.test", "")}`;
    asked.push(what);
    return answers[what] ?? Response.json({ detail: "no such thing", code: "not_found" }, { status: 404 });
  });
  const show = ({ notifications: items, unread }: Inbox): string =>
    `${items.map(({ id, read }) => (read ? id : `${id}*`)).join(" ")} (${unread})`;
  notifications = new Notifications(new Rest("http://hub.test", () => "t"), (inbox) => shown.push(show(inbox)));
  for (const offset of [1, 2]) {
    notifications.apply({ kind: "notification", notification: notification(offset), counted: false });
  }
  shown.length = 0;
});
afterEach(() => vi.unstubAllGlobals());

test("a page says how many there are, how many are unread, and whether there is more", async () => {
  const headers = { "X-Total-Count": "9", "X-Unread-Count": "4", Link: '</notifications?offset=2>; rel="next"' };
  answers["GET /notifications?read=false&type=booking.created&limit=2"] = Response.json([notification(9)], { headers });
  const page = await notifications.list({ read: false, type: "booking.created", limit: 2 });
  expect(page).toEqual({ notifications: [notification(9)], total: 9, unread: 4, more: true });
  expect(shown).toEqual([]);
});

test("a mark shows before the hub has answered, and the hub's count is taken", async () => {
  let answer = (_: Response): void => {};
  answers["PATCH /notifications/n1/read"] = new Promise((done) => (answer = done));
  const reading = notifications.read("n1");
  expect(shown).toEqual(["n2* n1 (1)"]);
  answer(Response.json(notification(1, { read: true }), { headers: { "X-Unread-Count": "7" } }));
  await reading;
  expect(shown.at(-1)).toBe("n2* n1 (7)");
});

test.each([
  ["read", (id: string) => notifications.read(id)],
  ["archive", (id: string) => notifications.archive(id)],
  ["remove", (id: string) => notifications.remove(id)],
  ["readAll", () => notifications.readAll()],
])("what the hub refuses is taken back and thrown: %s", async (_, act) => {
  await expect(act("n1")).rejects.toMatchObject({ code: "not_found", status: 404 } satisfies Partial<HubError>);
  expect(shown).toHaveLength(2);
  expect(shown[0]).not.toBe("n2* n1* (2)");
  expect(shown[1]).toBe("n2* n1* (2)");
});

test("older pages are put below what is there, until there are none", async () => {
  const headers = { Link: '</notifications?offset=52>; rel="next"' };
  answers["GET /notifications?archived=false&limit=50&offset=2"] = Response.json([notification(0, { read: true })], { headers });
  answers["GET /notifications?archived=false&limit=50&offset=3"] = Response.json([]);
  expect([await notifications.more(), await notifications.more()]).toEqual([true, false]);
  expect(shown).toEqual(["n2* n1* n0 (2)"]);
});

test("a hub that cannot be reached has a code of its own", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  await expect(notifications.count()).rejects.toMatchObject({ code: "unreachable", status: 0 });
});
