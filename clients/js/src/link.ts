/**
 * What a client has to do with: a way to the hub that comes back by itself. Either a line of its own, or a share in
 * the one of another tab.
 */
import type { Choice } from "./ladder";
import type { Connected } from "./protocol";
import type { TransportName } from "./transport";

/** `waiting` comes back by itself; `refused` does not. */
export type Status = "idle" | "connecting" | "online" | "waiting" | "refused";

export interface Connection {
  readonly status: Status;
  /** The transport in use, or being tried. */
  readonly transport: TransportName;
  readonly cursor: string | null;
  /** What the hub said last on connecting. */
  readonly connected: Connected | null;
  /** Why the last connection ended, in words. */
  readonly reason: string | null;
  /** The same as a stable code, where the hub gave one: `token_revoked`, `disconnected`, ... */
  readonly code: string | null;
  readonly retryInMs: number | null;
  /** Whose line it is: this page's alone, this page's for all tabs, or that of another tab. */
  readonly role: "alone" | "leader" | "follower";
}

export interface LinkSink {
  state(connection: Connection): void;
  /** In order. May be heard twice; events carry ids. `replayed`: it happened while nobody listened. */
  message(name: string, payload: unknown, replayed: boolean): void;
  /** Something was missed that this link cannot bring. */
  missed(): void;
}

export interface Link {
  readonly connection: Connection;
  start(): void;
  /** Cuts and stays away. The cursor is kept. */
  stop(): void;
  switchTo(choice: Choice): void;
  /** Sends an event and gives its answer. Throws `HubError`, also when the transport goes one way only. */
  ask(event: string, data: unknown): Promise<unknown>;
  /** Joins a `topic:` room, now and after every return. Throws `HubError`. */
  join(room: string): Promise<void>;
  leave(room: string): Promise<void>;
}
