/**
 * The Server-Sent Events transport, read with fetch. Unlike the browser's EventSource it hears event types it
 * has not listed beforehand, keeps the token out of the URL, and sees the keep-alive comments, so a dead line is noticed.
 */
import { EventStreamParser } from "./eventstream";
import type { Closing, Destination, Sink, Transport } from "./transport";

/** Heartbeats that may be missed before the line counts as dead. */
const PATIENCE = 2.5;
const FIRST_HEARTBEAT_MS = 30_000;

export function openStream(to: Destination, sink: Sink): Transport {
  const abort = new AbortController();
  let heartbeatMs = FIRST_HEARTBEAT_MS;
  let watchdog: ReturnType<typeof setTimeout> | undefined;

  const alive = (): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => finish({ reason: "no sign of life" }), heartbeatMs * PATIENCE);
  };
  const finish = (closing: Closing): void => {
    clearTimeout(watchdog);
    if (abort.signal.aborted) return;
    abort.abort();
    sink.closed(closing);
  };
  const parser = new EventStreamParser(({ name, data }) => {
    if (abort.signal.aborted) return;
    const payload = JSON.parse(data) as { heartbeatMs?: number };
    if (name === "connected") heartbeatMs = payload.heartbeatMs ?? heartbeatMs;
    sink.message(name, payload);
  });
  const run = async (): Promise<Closing> => {
    const answer = await fetch(address(to), {
      headers: { Authorization: `Bearer ${to.token}`, Accept: "text/event-stream" },
      cache: "no-store",
      signal: abort.signal,
    });
    if (answer.status !== 200 || !answer.body) return refusal(answer);
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      alive();
      parser.push(text);
    }
    return { reason: "the stream ended" };
  };

  alive();
  run().then(finish, (fault: unknown) => finish({ reason: String(fault) }));
  return {
    close() {
      clearTimeout(watchdog);
      abort.abort();
    },
  };
}

function address(to: Destination): string {
  const query = new URLSearchParams();
  if (to.cursor) query.set("lastEventId", to.cursor);
  if (to.types.length > 0) query.set("types", to.types.join(","));
  const text = query.toString();
  return `${to.url}/notifications/sse${text && `?${text}`}`;
}

async function refusal(answer: Response): Promise<Closing> {
  const retryAfter = Number(answer.headers.get("Retry-After"));
  await answer.body?.cancel();
  return {
    reason: `HTTP ${answer.status}`,
    refused: answer.status < 500 && answer.status !== 408 && answer.status !== 429,
    ...(retryAfter > 0 && { retryAfterMs: retryAfter * 1000 }),
  };
}
