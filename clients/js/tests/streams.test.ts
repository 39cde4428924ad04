import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openEventStream } from "../src/streams";
import type { Stream } from "../src/streams";

interface Asked {
  address: string;
  token: string | null;
  say(text: string): void;
  end(): void;
}
const asked: Asked[] = [];
let refusal: Response | null = null;
let stream: Stream;
const heard: unknown[] = [];
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  [asked.length, heard.length, refusal] = [0, 0, null];
  vi.stubGlobal("fetch", async (address: string, { headers, signal }: RequestInit) => {
    let body: ReadableStreamDefaultController<Uint8Array>;
    const readable = new ReadableStream<Uint8Array>({ start: (controller) => void (body = controller) });
    signal?.addEventListener("abort", () => body.error(new Error("aborted")));
    asked.push({
      address,
      token: new Headers(headers).get("Authorization"),
      say: (text) => body.enqueue(new TextEncoder().encode(text)),
      end: () => body.close(),
    });
    return refusal ?? new Response(readable, { headers: { "Content-Type": "text/event-stream" } });
  });
});
afterEach(() => {
  stream.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function opened(endpoint = "/sse/bookings", tokens = ["t1", "t2"]): Promise<void> {
  stream = openEventStream({
    endpoint,
    url: "http://hub.test",
    getToken: () => tokens.shift() ?? null,
    onMessage: (data, name) => heard.push([name, data]),
    onError: ({ reason, refused }) => heard.push(refused ? `refused: ${reason}` : "broken"),
  });
  await pass(0);
}

test("it brings JSON with its name, and comes back with a fresh token at the place where it was", async () => {
  await opened("/sse/bookings?types=booking.*");
  asked[0]?.say('id: e1:7\nevent: booking.created\ndata: {"n": 1}\n\ndata: {"n": 2}\n\n');
  await pass(0);
  expect(heard).toEqual([["booking.created", { n: 1 }], ["message", { n: 2 }]]);
  asked[0]?.end();
  await pass(1000);
  expect(heard[2]).toBe("broken");
  expect(asked.map(({ address, token }) => [address, token])).toEqual([
    ["http://hub.test/sse/bookings?types=booking.*", "Bearer t1"],
    ["http://hub.test/sse/bookings?types=booking.*&lastEventId=e1%3A7", "Bearer t2"],
  ]);
});

test("a silent line is given up and opened anew", async () => {
  await opened();
  await pass(70_000);
  asked[0]?.say(":keep-alive\n\n");
  await pass(74_999);
  expect(asked).toHaveLength(1);
  await pass(1 + 1000);
  expect(asked).toHaveLength(2);
});

test("a refused one stays away until it is told to come back", async () => {
  refusal = Response.json({ detail: "the token has expired", code: "token_expired" }, { status: 401 });
  await opened();
  await pass(60_000);
  expect([heard, asked.length]).toEqual([["refused: the token has expired"], 1]);
  refusal = null;
  stream.reconnect();
  await pass(0);
  expect(asked).toHaveLength(2);
});

test("a closed one is not heard and does not come back", async () => {
  await opened();
  stream.close();
  await pass(60_000);
  expect([heard, asked.length]).toEqual([[], 1]);
});
