/** The client against what a real hub said. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HubClient } from "../src/client";
import type { Preferences } from "../src/generated";
import { asEvent, isNotification, placeOf } from "../src/protocol";
import type { Connected, Notification, Passage } from "../src/protocol";
import type { Sink } from "../src/transport";
import { answered, said } from "./wire";

let sink: Sink;
vi.mock("../src/socket", () => ({
  openSocket: (_: unknown, opened: Sink) => {
    sink = opened;
    return { close: () => {} };
  },
}));

const heard: unknown[] = [];
let pages = 0;
let client: HubClient;
const says = (name: string): void => sink.message(...said(name));
const shown = (): unknown[] => client.inbox.notifications.map(({ id, read, channels }) => [id, read, channels.length]);

beforeEach(async () => {
  [heard.length, pages] = [0, 0];
  vi.stubGlobal("fetch", async (address: string) => {
    if (address.endsWith("/preferences")) return answered("preferences");
    pages += 1;
    return answered("page");
  });
  client = new HubClient({ url: "http://hub.test", getToken: () => "t", share: false });
  client.connect();
  await vi.waitFor(() => expect(client.connection.status).toBe("connecting"));
  await new Promise((done) => setTimeout(done));
  says("connected");
  await vi.waitFor(() => expect(client.inbox.loaded).toBe(true));
});
afterEach(() => {
  client.disconnect();
  vi.unstubAllGlobals();
});

test("it is connected as whom the hub says, and loads the first page", async () => {
  const [, { userId, sid }] = said<Connected>("connected");
  expect(client.connection).toMatchObject({ status: "online", cursor: "e1:0", connected: { sid } });
  expect(client.inbox).toMatchObject({ userId, unread: 2 });
  expect(await client.notifications.list()).toMatchObject({ total: 2, unread: 2, more: true });
});

test("a notification arrives, its delivery changes, it is read, changed and deleted", () => {
  client.on("notification", ({ id }) => heard.push(id));
  client.on("booking.confirmed", ({ data }) => heard.push(data.guestName));
  says("notification-new");
  says("notification-new");
  expect(heard).toEqual(["id-3", "Ana"]);
  expect(client.inbox.unread).toBe(3);
  says("delivery-update");
  expect(shown()).toEqual([["id-4", false, 0], ["id-3", false, 1]]);
  says("notification-unread_count");
  expect(client.inbox.unread).toBe(1);
  says("notification-read");
  expect(shown()).toEqual([["id-4", false, 0], ["id-3", true, 1]]);
  says("notification-updated");
  expect(client.inbox.notifications[1]).toEqual(said("notification-updated")[1]);
  says("notification-deleted");
  expect(shown()).toEqual([["id-4", false, 0]]);
});

test("who comes and goes is told", () => {
  client.presence.onJoin(({ roles }: Passage) => heard.push(["join", ...roles]));
  client.presence.onLeave(({ room }: Passage) => heard.push(["leave", room]));
  says("presence-join");
  says("presence-leave");
  expect(heard).toEqual([["join", "PROFESSIONAL"], ["leave", "tenant:acme"]]);
});

test("preferences are told as they are fetched", async () => {
  client.on("preferences:updated", (preferences: Preferences) => heard.push(preferences));
  says("preferences-updated");
  expect(heard).toEqual([await client.preferences.get()]);
});

test("a reset forgets the inbox and fetches it anew", async () => {
  says("notification-new");
  says("sync-reset");
  expect(client.inbox).toMatchObject({ notifications: [], loaded: false });
  await vi.waitFor(() => expect(shown()).toEqual([["id-4", false, 0]]));
  expect(pages).toBe(2);
});

test("a session that is ended for good is refused with the hub's words", async () => {
  says("session-closed");
  sink.closed({ reason: "io server disconnect" });
  expect(client.connection).toMatchObject({ status: "refused", code: "token_revoked", reason: "the token was revoked" });
});

test("events are told from signals, and have places", () => {
  const event = asEvent(...said("notification-new")) as Notification;
  expect([isNotification(event), placeOf(event.cursor)]).toEqual([true, { epoch: "e1", offset: 1 }]);
  for (const name of ["connected", "notification-updated", "notification-deleted", "delivery-update", "presence-join"]) {
    expect(asEvent(...said(name))).toBeNull();
  }
});
