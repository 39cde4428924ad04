import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HubClient } from "../src/client";
import type { HubOptions } from "../src/client";
import { HELD_MS } from "../src/holes";
import type { Destination, Sink } from "../src/transport";
import { connected, notification } from "./samples";

const opened: { to: Destination; sink: Sink }[] = [];
vi.mock("../src/socket", () => ({
  openSocket: (to: Destination, sink: Sink) => {
    opened.push({ to, sink });
    return { close: () => {} };
  },
}));

/** What the inbox has, newest first, and what was asked with `after`. */
let inbox = [6, 5, 4].map((offset) => notification(offset));
const asked: URLSearchParams[] = [];
let answering: Promise<void>;
let client: HubClient;
const heard: string[] = [];
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const says = (name: string, payload: unknown): void => opened.at(-1)?.sink.message(name, payload);

beforeEach(() => {
  vi.useFakeTimers();
  [opened.length, asked.length, heard.length, answering] = [0, 0, 0, Promise.resolve()];
  inbox = [6, 5, 4].map((offset) => notification(offset));
  vi.stubGlobal("fetch", async (address: string) => {
    const query = new URL(address, "http://hub.test").searchParams;
    const headers: Record<string, string> = { "X-Unread-Count": "3" };
    if (!query.has("after")) return new Response("[]", { headers });
    asked.push(query);
    await answering;
    const [offset, limit] = [Number(query.get("offset")), Number(query.get("limit"))];
    if (offset + limit < inbox.length) headers.Link = '</notifications>; rel="next"';
    return new Response(JSON.stringify(inbox.slice(offset, offset + limit)), { headers });
  });
});
afterEach(() => {
  client.disconnect();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A client that has heard the third event, was away, and is told that the hub cannot replay up to `head`. */
async function reset(head: string, options: HubOptions = {}): Promise<void> {
  client = new HubClient({ url: "http://hub.test", getToken: () => "t", share: false, ...options });
  client.on("event", ({ id }, { replayed }) => heard.push(`${id}${replayed ? " replayed" : ""}`));
  client.connect();
  await pass(0);
  says("connected", connected({ cursor: "e1:2" }));
  says("booking.created", notification(3));
  opened.at(-1)?.sink.closed({ reason: "transport close" });
  await pass(1000);
  says("connected", connected({ cursor: head, recovered: false, recoveryReason: "limit" }));
  says("sync:reset", { reason: "limit", earliest: null });
}

test("what cannot be replayed is fetched and heard before what comes live, in order, once", async () => {
  let answer = (): void => {};
  answering = new Promise((done) => (answer = done));
  await reset("e1:6");
  inbox.unshift(notification(7)); // it comes live, too
  says("booking.created", notification(7));
  says("booking.created", notification(8));
  expect(heard).toEqual(["n3"]);
  answer();
  await pass(0);
  expect(heard).toEqual(["n3", "n4 replayed", "n5 replayed", "n6 replayed", "n7", "n8"]);
  expect(asked.map((query) => query.get("after"))).toEqual(["e1:3"]);
  expect(client.connection.cursor).toBe("e1:8");
});

test("more than a page is fetched page by page, and only the types that are asked for are heard", async () => {
  inbox = Array.from({ length: 130 }, (_, at) => notification(200 - at, { type: at % 2 ? "payment.due" : "booking.created" }));
  await reset("e1:200", { types: ["booking.*"] });
  await pass(0);
  expect(asked.map((query) => query.get("offset"))).toEqual(["0", "100"]);
  expect(heard).toEqual(["n3", ...Array.from({ length: 65 }, (_, at) => `n${72 + 2 * at} replayed`)]);
});

test("in another life of the log there is nothing to ask for", async () => {
  await reset("e2:6");
  says("booking.created", notification(7, { cursor: "e2:7" }));
  expect([heard, asked]).toEqual([["n3", "n7"], []]);
});

test("a hub that does not answer holds the live ones back for a bounded time", async () => {
  answering = new Promise(() => {});
  await reset("e1:6");
  says("booking.created", notification(7));
  await pass(HELD_MS - 1);
  expect(heard).toEqual(["n3"]);
  await pass(1);
  expect(heard).toEqual(["n3", "n7"]);
});

test("what was held when the client is cut is asked for again", async () => {
  answering = new Promise(() => {});
  await reset("e1:6");
  says("booking.created", notification(7));
  client.disconnect();
  client.connect();
  await pass(0);
  expect(opened.at(-1)?.to.cursor).toBe("e1:3");
  expect(heard).toEqual(["n3"]);
});
