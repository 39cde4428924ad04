import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Line } from "../src/line";
import type { Connection } from "../src/link";
import type { Destination, Sink, TransportName } from "../src/transport";
import { connected, notification } from "./samples";

// The transports are tried for real in a browser; here they are replaced to say things at chosen moments.
interface Opened {
  name: TransportName;
  to: Destination;
  sink: Sink;
  closed: boolean;
  asked: [string, unknown][];
}
const opened: Opened[] = [];
vi.mock("../src/transports", () => ({
  openerOf: async (name: TransportName) => (to: Destination, sink: Sink) => {
    const one: Opened = { name, to, sink, closed: false, asked: [] };
    opened.push(one);
    const close = (): void => void (one.closed = true);
    if (name === "sse") return { close };
    const request = async (event: string, data: unknown): Promise<unknown> => void one.asked.push([event, data]);
    return { close, request, tell: (event: string, data: unknown) => void one.asked.push([event, data]) };
  },
}));

const heard: string[] = [];
const states: Connection["status"][] = [];
let line: Line;
let token = "t1";
const last = (): Opened => opened[opened.length - 1] as Opened;
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  [heard.length, states.length, opened.length, token] = [0, 0, 0, "t1"];
});
afterEach(() => {
  line.stop();
  vi.useRealTimers();
});

async function started(choice: "auto" | TransportName = "auto"): Promise<void> {
  line = new Line(
    {
      url: "http://hub.test", getToken: () => token, types: [], choice, cursor: null, rooms: [], watched: [],
      role: "alone", names: () => [],
    },
    {
      state: ({ status }) => states[states.length - 1] !== status && states.push(status),
      message: (name, payload) => heard.push(name === "booking.created" ? (payload as { id: string }).id : name),
      missed: () => heard.push("missed"),
    },
  );
  line.start();
  await pass(0);
}

test("a transport that says nothing for four seconds, twice, is left for the next", async () => {
  await started();
  await pass(3999);
  expect(states).toEqual(["connecting"]);
  await pass(1);
  expect(line.connection).toMatchObject({ status: "waiting", reason: "the hub did not answer in time" });
  await pass(1000 + 4000 + 2000);
  expect(opened.map(({ name }) => name)).toEqual(["socketio", "socketio", "sse"]);
  expect(opened.map(({ closed }) => closed)).toEqual([true, true, false]);
});

test("the best transport is tried beside the one that carries, and taken when it answers", async () => {
  await started();
  for (let failure = 0; failure < 2; failure += 1) {
    last().sink.closed({ reason: "websocket error" });
    await pass(2000);
  }
  const stream = last();
  stream.sink.message("connected", connected({ cursor: "e1:4" }));
  stream.sink.message("booking.created", notification(5));
  await pass(15_000);
  expect([last().name, last().to.cursor, stream.closed]).toEqual(["socketio", "e1:5", false]);
  stream.sink.message("booking.created", notification(6)); // still heard, while the other one is on its way
  last().sink.message("connected", connected({ cursor: "e1:5", recovered: true, replayed: 1 }));
  expect(stream.closed).toBe(true);
  expect(line.connection).toMatchObject({ transport: "socketio", cursor: "e1:6", status: "online" });
  expect(heard).toEqual(["connected", "n5", "n6", "connected"]);
});

test("a probe that fails changes nothing", async () => {
  await started();
  for (let failure = 0; failure < 2; failure += 1) {
    last().sink.closed({ reason: "websocket error" });
    await pass(2000);
  }
  const stream = last();
  stream.sink.message("connected", connected());
  await pass(15_000 + 4000);
  expect([stream.closed, line.connection.status, line.connection.transport]).toEqual([false, "online", "sse"]);
});

test("two and a half missed heartbeats are the end, and every sign of life counts", async () => {
  await started();
  last().sink.message("connected", connected({ heartbeatMs: 1000 }));
  await pass(2000);
  last().sink.alive();
  await pass(2499);
  expect(line.connection.status).toBe("online");
  await pass(2);
  expect(line.connection).toMatchObject({ status: "waiting", reason: "no sign of life" });
});

test("a token that is about to end is renewed on the same connection", async () => {
  await started();
  last().sink.message("connected", connected());
  token = "t2";
  last().sink.message("auth:expiring", { expiresAt: "2026-11-20T10:00:00.000Z" });
  await pass(0);
  expect(last().asked).toEqual([["refresh", { token: "t2" }]]);
  expect(opened).toHaveLength(1);
});

test("on a stream the renewed token opens the next one beside it", async () => {
  await started("sse");
  const stream = last();
  stream.sink.message("connected", connected());
  token = "t2";
  stream.sink.message("auth:expiring", { expiresAt: "2026-11-20T10:00:00.000Z" });
  await pass(0);
  expect([last().to.token, stream.closed]).toEqual(["t2", false]);
  last().sink.message("connected", connected());
  expect(stream.closed).toBe(true);
  expect(states).toEqual(["connecting", "online"]);
});

test("a refused token is asked for once more; the same one, or another refusal, is the end", async () => {
  await started();
  token = "t2";
  last().sink.closed({ reason: "expired", code: "token_expired", refused: true });
  await pass(0);
  expect(last().to.token).toBe("t2");
  token = "t3";
  last().sink.closed({ reason: "expired", code: "token_expired", refused: true });
  await pass(60_000);
  expect(opened).toHaveLength(2);
  expect(line.connection).toMatchObject({ status: "refused", code: "token_expired" });
});

test("the browser's going offline is the end of a connection, and its coming back the end of the wait", async () => {
  await started();
  last().sink.message("connected", connected());
  dispatchEvent(new Event("offline"));
  expect(line.connection).toMatchObject({ status: "waiting", reason: "offline" });
  dispatchEvent(new Event("online"));
  await pass(0);
  expect(opened).toHaveLength(2);
});

test("nothing hastens a hub that said when to come back", async () => {
  await started();
  last().sink.message("connected", connected());
  last().sink.message("server:draining", { retryAfterMs: 7000 });
  last().sink.closed({ reason: "transport close" });
  dispatchEvent(new Event("online"));
  await pass(6999);
  expect(opened).toHaveLength(1);
  await pass(1);
  expect(opened).toHaveLength(2);
});

test("rooms are joined on the line, and asked for again by the next one", async () => {
  await started();
  last().sink.message("connected", connected());
  await line.join("topic:jobs");
  await line.ask("getPresence", { room: "topic:jobs" });
  last().sink.closed({ reason: "transport close" });
  await pass(1000);
  expect(last().to.rooms).toEqual(["topic:jobs"]);
  last().sink.message("connected", connected());
  expect(last().asked).toEqual([["getPresence", { room: "topic:jobs" }]]);
});

test("a room that the token of today does not allow keeps nobody out", async () => {
  await started();
  last().sink.message("connected", connected());
  await line.join("topic:jobs");
  last().sink.closed({ reason: "forbidden", code: "room_forbidden", refused: true });
  await pass(1000);
  expect(last().to.rooms).toEqual([]);
});

test("a stream takes no questions", async () => {
  await started("sse");
  last().sink.message("connected", connected());
  await expect(line.ask("getPresence", {})).rejects.toMatchObject({ code: "no_socket" });
});
