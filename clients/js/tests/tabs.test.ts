import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HubClient } from "../src/client";
import type { Destination, Sink } from "../src/transport";
import { ANSWER_MS } from "../src/tabs";
import { KEPT } from "../src/kept";
import { fakeTabs, noTabs } from "./fakes";
import type { FakeChannel } from "./fakes";
import { connected, notification } from "./samples";

interface Opened {
  to: Destination;
  sink: Sink;
  closed: boolean;
  asked: unknown[][];
}
const opened: Opened[] = [];
vi.mock("../src/socket", () => ({
  openSocket: (to: Destination, sink: Sink) => {
    const one: Opened = { to, sink, closed: false, asked: [] };
    opened.push(one);
    const request = async (...asked: unknown[]): Promise<unknown> => {
      one.asked.push(asked);
      return { totalOnline: 1 };
    };
    return { close: () => void (one.closed = true), request, tell: () => {} };
  },
}));

const clients: HubClient[] = [];
const heard = new Map<HubClient, string[]>();
let channels: () => FakeChannel[];
let fetched: string[];
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const line = (): Opened => opened.at(-1) as Opened;
const roles = (): string[] => clients.map(({ connection: { role, status } }) => `${role} ${status}`);

beforeEach(() => {
  vi.useFakeTimers();
  fetched = [];
  vi.stubGlobal("fetch", async (address: string) => {
    fetched.push(new URL(address).search);
    return new Response("[]", { headers: { "X-Unread-Count": "0" } });
  });
  ({ channels } = fakeTabs());
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  opened.length = 0;
  await pass(0);
  noTabs();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A tab of this person; each token has a time of its own. */
async function tab(user = "ana", times: object = { exp: Date.now() + clients.length }): Promise<HubClient> {
  const token = `h.${btoa(JSON.stringify({ sub: user, tenant: "city-hotel", ...times }))}.s`;
  const client = new HubClient({ url: "http://hub.test", getToken: () => token });
  const mine: string[] = [];
  clients.push(client);
  heard.set(client, mine);
  client.on("event", ({ id }, { replayed }) => mine.push(replayed ? `${id} replayed` : id));
  client.connect();
  await pass(0);
  return client;
}

async function says(name: string, payload: unknown): Promise<void> {
  line().sink.message(name, payload);
  await pass(0);
}

async function two(): Promise<[HubClient, HubClient]> {
  const first = await tab();
  await says("connected", connected({ cursor: "e1:0" }));
  return [first, await tab()];
}

test("tabs of one person have one connection, and each of them hears everything once", async () => {
  const [first, second] = await two();
  await says("booking.created", notification(1));
  await says("booking.created", notification(1));
  expect(roles()).toEqual(["leader online", "follower online"]);
  expect(opened).toHaveLength(1);
  expect([heard.get(first), heard.get(second)]).toEqual([["n1"], ["n1"]]);
});

test("different people never share", async () => {
  const [first] = await two();
  const stranger = await tab("bruno");
  await says("connected", connected({ userId: "bruno" }));
  await says("booking.created", notification(1));
  expect(opened).toHaveLength(2);
  expect([heard.get(first), heard.get(stranger)]).toEqual([[], ["n1"]]);
});

test("when the tab with the connection goes, the other goes on at the same place, in the same rooms", async () => {
  const [first, second] = await two();
  await second.join("topic:jobs");
  await says("booking.created", notification(1));
  first.disconnect();
  await pass(0);
  expect(roles()).toEqual(["leader idle", "leader connecting"]);
  expect(line().to).toMatchObject({ cursor: "e1:1", rooms: ["topic:jobs"] });
  await says("connected", connected({ recovered: true, replayed: 1, cursor: "e1:1" }));
  await says("booking.created", notification(2));
  expect(heard.get(second)).toEqual(["n1", "n2 replayed"]);
  expect(opened[0]?.closed).toBe(true);
});

test("a frozen leader is replaced by a tab that is looked at, and becomes a follower when it wakes", async () => {
  const [first, second] = await two();
  const frozen = channels()[0] as FakeChannel;
  frozen.frozen = true;
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(ANSWER_MS - 1);
  expect(opened).toHaveLength(1);
  await pass(1);
  expect(second.connection.role).toBe("leader");
  frozen.frozen = false;
  await says("connected", connected({ cursor: "e1:0" }));
  await says("booking.created", notification(1));
  expect(first.connection.role).toBe("follower");
  expect([opened.length, opened[0]?.closed]).toEqual([2, true]);
  expect(heard.get(first)).toEqual(["n1"]);
});

test("what a follower asks goes over the one connection, and a room is left when nobody wants it", async () => {
  const [first, second] = await two();
  expect(await second.presence.get()).toEqual({ totalOnline: 1 });
  await Promise.all([first.join("topic:jobs"), second.join("topic:jobs")]);
  await second.leave("topic:jobs");
  await pass(0);
  await says("job", notification(1, { room: "topic:jobs" }));
  expect([heard.get(first), heard.get(second)]).toEqual([["n1"], []]);
  await first.leave("topic:jobs");
  expect(line().asked.map(([event]) => event)).toEqual(["getPresence", "joinRoom", "leaveRoom"]);
});

test("a tab that was frozen hears what it missed, or fetches it when the others do not have it any more", async () => {
  const [, second] = await two();
  const mine = channels()[1] as FakeChannel;
  const wakes = async (): Promise<void> => {
    mine.frozen = false;
    document.dispatchEvent(new Event("visibilitychange"));
    await pass(0);
  };
  await says("booking.created", notification(1));
  mine.frozen = true;
  await says("booking.created", notification(2));
  await wakes();
  expect(heard.get(second)).toEqual(["n1", "n2 replayed"]);
  mine.frozen = true;
  for (let offset = 3; offset <= KEPT + 5; offset += 1) line().sink.message("booking.created", notification(offset));
  await pass(0);
  fetched = [];
  await wakes();
  expect(fetched).toContain("?after=e1%3A2&limit=100&offset=0");
});

test("after a hole nobody is told from memory what lies before it", async () => {
  const [, second] = await two();
  await says("booking.created", notification(1));
  const mine = channels()[1] as FakeChannel;
  mine.frozen = true;
  line().sink.closed({ reason: "transport close" });
  await pass(1000);
  await says("connected", connected({ cursor: "e1:9", recovered: false }));
  await says("sync:reset", { reason: "limit", earliest: null });
  await says("booking.created", notification(10));
  mine.frozen = false;
  fetched = [];
  document.dispatchEvent(new Event("visibilitychange"));
  await pass(0);
  expect(fetched).toContain("?after=e1%3A1&limit=100&offset=0");
  expect(second.connection.cursor).toBe("e1:10");
});

test("without locks, or without a token to tell who it is, each tab has its own", async () => {
  const nobody = new HubClient({ url: "http://hub.test", getToken: () => null });
  clients.push(nobody);
  nobody.connect();
  await pass(0);
  noTabs();
  await tab();
  await tab();
  expect(clients.map(({ connection }) => connection.role)).toEqual(["alone", "alone", "alone"]);
  expect(opened).toHaveLength(3);
});
