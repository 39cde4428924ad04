/**
 * What a transport is to the client: something that is opened at a cursor, hands up messages in order and
 * closes once. It does not reconnect; the client decides whether and when.
 */

export type TransportName = "socketio" | "sse";

export interface Destination {
  /** Origin of the hub, without a slash at its end; "" is the page's own. */
  url: string;
  token: string;
  /** Replay what came after this place; null asks for no replay. */
  cursor: string | null;
  /** Globs of event types (`booking.*`); empty: all. */
  types: readonly string[];
}

export interface Closing {
  reason: string;
  /** The hub will say the same next time: do not come back with this token. */
  refused?: boolean;
  /** The hub says when to come back. */
  retryAfterMs?: number;
}

export interface Sink {
  /** `payload` is the message's last argument. */
  message(name: string, payload: unknown): void;
  /** Called at most once, and not after `close()`. */
  closed(closing: Closing): void;
}

export interface Transport {
  close(): void;
}

export type Open = (to: Destination, sink: Sink) => Transport;
