/**
 * The Server-Sent Events transport, read with fetch. Unlike the browser's EventSource it hears event types it
 * has not listed beforehand, keeps the token out of the URL, and sees the keep-alive comments. Where answers
 * cannot be read as they come, a native EventSource with tickets stands in.
 */
import { HubError } from "./errors";
import { EventStreamParser } from "./eventstream";
import { problem, query } from "./rest";
import type { Closing, Destination, Sink, Transport } from "./transport";

/** A stream that is being read. */
export interface Reading {
  close(): void;
}

export interface Reader {
  /** The hub has answered with a stream. */
  open?(): void;
  event(name: string, data: string, id: string): void;
  /** There was a sign of life, whatever it was. */
  alive(): void;
  /** Called at most once, and not after `close()`. */
  closed(closing: Closing): void;
}

/** Reads `address` until it ends. `token` goes into a header; without one, cookies go along. */
export function readStream(address: string, token: string | null, reader: Reader): Reading {
  const abort = new AbortController();
  const finish = (closing: Closing): void => {
    if (abort.signal.aborted) return;
    abort.abort();
    reader.closed(closing);
  };
  const parser = new EventStreamParser(({ name, data, id }) => {
    if (!abort.signal.aborted) reader.event(name, data, id);
  });
  const run = async (): Promise<Closing> => {
    const answer = await fetch(address, {
      headers: { Accept: "text/event-stream", ...(token && { Authorization: `Bearer ${token}` }) },
      ...(!token && { credentials: "include" as const }),
      cache: "no-store",
      signal: abort.signal,
    });
    if (answer.status !== 200 || !answer.body) return refusal(await problem(answer));
    reader.open?.();
    const pieces = answer.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return { reason: "the stream ended" };
      reader.alive();
      parser.push(decoder.decode(value, { stream: true }));
    }
  };
  run().then(finish, (fault: unknown) => finish({ reason: String(fault) }));
  return { close: () => abort.abort() };
}

/** Whether answers can be read while they come. */
export function canReadStreams(): boolean {
  return (
    typeof ReadableStream === "function" &&
    typeof TextDecoder === "function" &&
    typeof AbortController === "function" &&
    typeof Response === "function" &&
    "body" in Response.prototype
  );
}

export function openStream(to: Destination, sink: Sink): Transport {
  return readStream(to.url + pathOf(to), to.token, {
    event: (name, data) => sink.message(name, JSON.parse(data)),
    alive: () => sink.alive(),
    closed: (closing) => sink.closed(closing),
  });
}

export function pathOf(to: Destination): string {
  const { cursor, types, rooms } = to;
  return `/notifications/sse${query({
    lastEventId: cursor,
    types: types.length > 0 ? types.join(",") : null,
    rooms: rooms.length > 0 ? rooms.join(",") : null,
  })}`;
}

/** Only what the hub itself said, with a code of its own, is final; a box in between may just not carry streams. */
function refusal({ message, code, status, retryAfter }: HubError): Closing {
  const own = code !== "unknown";
  return {
    reason: message,
    ...(own && { code }),
    refused: own && status < 500 && status !== 408 && status !== 429,
    ...(retryAfter !== null && { retryAfterMs: retryAfter * 1000 }),
  };
}
