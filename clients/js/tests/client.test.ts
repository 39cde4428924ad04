import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HubClient } from "../src/client";
import type { Status } from "../src/link";
import type { Destination, Sink } from "../src/transport";
import { connected, notification } from "./samples";

// The transports are tried for real in a browser; here one is replaced to say things at chosen moments.
const opened: { to: Destination; sink: Sink; closed: boolean }[] = [];
vi.mock("../src/socket", () => ({
  openSocket: (to: Destination, sink: Sink) => {
    const line = { to, sink, closed: false };
    opened.push(line);
    return { close: () => void (line.closed = true) };
  },
}));

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", async () => new Response("[]", { headers: { "X-Unread-Count": "0" } }));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  opened.length = 0;
});

async function online(client: HubClient): Promise<Sink> {
  client.connect();
  await vi.advanceTimersByTimeAsync(0);
  return line().sink;
}
function line(): (typeof opened)[number] {
  const last = opened.at(-1);
  if (!last) throw new Error("no connection was opened");
  return last;
}

test("each event reaches a listener once, by its type and as any", async () => {
  const client = new HubClient({ getToken: () => "t", share: false });
  const heard: string[] = [];
  client.on("booking.created", (event) => heard.push(`typed ${event.id}`));
  client.on("event", (event) => heard.push(`any ${event.id}`));
  const sink = await online(client);
  sink.message("connected", connected());
  sink.message("booking.created", notification(1));
  sink.message("booking.created", notification(1));
  expect(heard).toEqual(["any n1", "typed n1"]);
});

test("a client that comes back asks from its last event on, and knows the replay from the live", async () => {
  const client = new HubClient({ getToken: () => "t", share: false });
  const heard: string[] = [];
  client.on("notification", (event, { replayed }) => heard.push(`${event.id} ${replayed}`));
  const sink = await online(client);
  sink.message("connected", connected({ cursor: "e1:4" }));
  sink.message("booking.created", notification(5));
  sink.closed({ reason: "transport close" });
  expect(client.connection.status).toBe("waiting");
  await vi.advanceTimersByTimeAsync(1000);
  expect(line().to.cursor).toBe("e1:5");
  line().sink.message("connected", connected({ recovered: true, replayed: 2, cursor: "e1:5", unreadCount: 3 }));
  for (const offset of [6, 7, 8]) line().sink.message("booking.created", notification(offset));
  expect(heard).toEqual(["n5 false", "n6 true", "n7 true", "n8 false"]);
  expect(client.connection.cursor).toBe("e1:8");
  expect(client.inbox.unread).toBe(4);
});

test("a refused client stays away until it is told to connect", async () => {
  const client = new HubClient({ getToken: () => "t", share: false });
  const sink = await online(client);
  sink.closed({ reason: "the token has expired", refused: true });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(opened).toHaveLength(1);
  expect(client.connection).toMatchObject({ status: "refused", reason: "the token has expired" });
  await online(client);
  expect(opened).toHaveLength(2);
});

test("a hub that drains says when to come back", async () => {
  const client = new HubClient({ getToken: () => "t", share: false });
  const sink = await online(client);
  sink.message("server:draining", { retryAfterMs: 7000 });
  sink.closed({ reason: "transport close" });
  await vi.advanceTimersByTimeAsync(6999);
  expect(opened).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(opened).toHaveLength(2);
});

test("a session that was ended for good is not tried again", async () => {
  const client = new HubClient({ getToken: () => "t", share: false });
  const sink = await online(client);
  sink.message("session:closed", { code: "token_revoked", reason: "revoked", reconnect: false });
  sink.closed({ reason: "io server disconnect" });
  expect(client.connection).toMatchObject({ status: "refused", reason: "revoked" });
});

test("what a connection says after it was cut here is not heard", async () => {
  const client = new HubClient({ getToken: () => "t", share: false });
  const sink = await online(client);
  sink.message("connected", connected());
  client.disconnect();
  expect(line().closed).toBe(true);
  sink.message("booking.created", notification(1));
  sink.closed({ reason: "late" });
  expect(client.inbox.notifications).toEqual([]);
  expect(client.connection.status).toBe("idle");
});

test("a token that cannot be had is tried again later", async () => {
  const tokens = [Promise.reject(new Error("offline")), Promise.resolve("t2")];
  const client = new HubClient({ getToken: () => tokens.shift() ?? "t3", share: false });
  const states: Status[] = [];
  client.on("connection", ({ status }) => states.push(status));
  client.connect();
  await vi.advanceTimersByTimeAsync(1000);
  expect(states).toEqual(["connecting", "waiting", "connecting"]);
  expect(line().to.token).toBe("t2");
});

test("a listener that throws is reported and does not silence the others", async () => {
  const report = vi.fn();
  vi.stubGlobal("reportError", report);
  const client = new HubClient({ getToken: () => "t", share: false });
  const heard: string[] = [];
  client.on("event", () => {
    throw new Error("mine");
  });
  const off = client.on("event", (event) => heard.push(event.id));
  const sink = await online(client);
  sink.message("booking.created", notification(1));
  off();
  sink.message("booking.created", notification(2));
  expect(heard).toEqual(["n1"]);
  expect(report).toHaveBeenCalledTimes(2);
});

test("a first page that could not be had is asked for again, also by the next connection", async () => {
  let up = false;
  const asked = vi.fn();
  vi.stubGlobal("fetch", async (address: string) => {
    asked(address);
    if (!up) throw new TypeError("Failed to fetch");
    return new Response(JSON.stringify([notification(1)]), { headers: { "X-Unread-Count": "1" } });
  });
  const client = new HubClient({ getToken: () => "t", share: false });
  const sink = await online(client);
  sink.message("connected", connected());
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveBeenCalledTimes(2);
  sink.closed({ reason: "transport close" });
  up = true;
  await vi.advanceTimersByTimeAsync(1000);
  line().sink.message("connected", connected({ recovered: true }));
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toHaveBeenCalledTimes(3);
  expect(client.inbox.notifications.map((item) => item.id)).toEqual(["n1"]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveBeenCalledTimes(3);
});
