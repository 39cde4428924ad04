/**
 * What a transport is to a line: something that is opened at a cursor, hands up messages in order and
 * closes once. It does not reconnect; the line decides whether and when.
 */

export type TransportName = "socketio" | "sse" | "polling";

export interface Destination {
  /** Origin of the hub, without a slash at its end; "" is the page's own. */
  url: string;
  /** Null: a cookie says who this is. */
  token: string | null;
  /** Replay what came after this place; null asks for no replay. */
  cursor: string | null;
  /** Globs of event types (`booking.*`); empty: all. */
  types: readonly string[];
  /** `topic:` rooms to be in from the start. */
  rooms: readonly string[];
}

export interface Closing {
  reason: string;
  /** The stable code of the hub, when it said one. */
  code?: string;
  /** The hub will say the same next time: do not come back with this token. */
  refused?: boolean;
  /** The hub says when to come back. */
  retryAfterMs?: number;
}

export interface Sink {
  /** `payload` is the message's last argument. */
  message(name: string, payload: unknown): void;
  /** There was a sign of life without a message. */
  alive(): void;
  /** Called at most once, and not after `close()`. */
  closed(closing: Closing): void;
}

export interface Transport {
  close(): void;
  /** Only where the line goes both ways: sends an event and gives its answer. Throws `HubError`. */
  request?(event: string, data: unknown): Promise<unknown>;
  /** The same without an answer. */
  tell?(event: string, data: unknown): void;
}

export type Open = (to: Destination, sink: Sink) => Transport;
