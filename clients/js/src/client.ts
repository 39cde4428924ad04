/**
 * HubClient: one connection that comes back, over either transport, at the place where it was. Promises each
 * event to a listener once and in the log's order. Knows no DOM and no framework.
 */
import { backoff } from "./backoff";
import { Emitter } from "./emitter";
import type { Off } from "./emitter";
import { asEnvelope, isNotification, isSignal } from "./protocol";
import type { Connected, Envelope, Notification, Signals } from "./protocol";
import { Rest } from "./rest";
import { openSocket } from "./socket";
import { openStream } from "./sse";
import { EMPTY, reduce } from "./store";
import type { Change, Inbox } from "./store";
import type { Closing, Open, Transport, TransportName } from "./transport";

export interface HubOptions {
  /** A JWT, or what gives the present one; asked before every connection and request. */
  token: string | (() => string | Promise<string>);
  /** Origin of the hub; default: the page's own. */
  url?: string;
  transport?: TransportName;
  /** Where an earlier client stopped. */
  cursor?: string | null;
  /** Globs of event types (`booking.*`); default: all. */
  types?: readonly string[];
}

/** `waiting` comes back by itself; `refused` does not. */
export type Status = "idle" | "connecting" | "online" | "waiting" | "refused";

export interface Connection {
  readonly status: Status;
  readonly transport: TransportName;
  readonly cursor: string | null;
  /** What the hub said last on connecting. */
  readonly connected: Connected | null;
  /** Why the last connection ended. */
  readonly reason: string | null;
  readonly retryInMs: number | null;
}

/** An event as a listener gets it. `replayed`: it happened while this client was away. */
export interface Received<E extends Envelope = Envelope> {
  envelope: E;
  replayed: boolean;
}

export interface HubEvents extends Signals {
  connection: Connection;
  inbox: Inbox;
  /** Every event, whatever its type. */
  event: Received;
  notification: Received<Notification>;
}

const OPEN: Record<TransportName, Open> = { socketio: openSocket, sse: openStream };
const FIRST_PAGE = 50;
/** Ids remembered to drop duplicates. */
const REMEMBERED = 2000;

export class HubClient {
  readonly #emitter = new Emitter();
  readonly #token: () => string | Promise<string>;
  readonly #url: string;
  readonly #types: readonly string[];
  readonly #rest: Rest;
  readonly #seen = new Set<string>();
  #connection: Connection;
  #inbox: Inbox = EMPTY;
  #transport: Transport | null = null;
  /** Counts openings, so that what belongs to an earlier one is known for stale. */
  #opening = 0;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Missed events that are still on their way. */
  #replaying = 0;
  /** Whether the inbox had its first page, so that a replay is enough to complete it. */
  #loaded = false;
  /** What the hub announced about the end of this connection. */
  #announced: Partial<Closing> = {};

  constructor(options: HubOptions) {
    const { token } = options;
    this.#token = typeof token === "string" ? () => token : token;
    this.#url = (options.url ?? "").replace(/\/$/, "");
    this.#types = options.types ?? [];
    this.#rest = new Rest(this.#url, this.#token);
    this.#connection = {
      status: "idle",
      transport: options.transport ?? "socketio",
      cursor: options.cursor ?? null,
      connected: null,
      reason: null,
      retryInMs: null,
    };
  }

  get connection(): Connection {
    return this.#connection;
  }

  get inbox(): Inbox {
    return this.#inbox;
  }

  /** Listens to a name of `HubEvents`, or to one event type (`booking.created`). Returns how to stop. */
  on<Name extends keyof HubEvents>(name: Name, listener: (payload: HubEvents[Name]) => void): Off;
  on(type: string, listener: (received: Received) => void): Off;
  on(name: string, listener: (payload: never) => void): Off {
    return this.#emitter.on(name, listener);
  }

  /** Connects, and comes back until `disconnect()`. Does nothing while that is already so. */
  connect(): void {
    if (this.#connection.status === "idle" || this.#connection.status === "refused") void this.#open();
  }

  /** Cuts the connection and stays away. The cursor is kept: `connect()` gets what was missed. */
  disconnect(): void {
    this.#leave();
    this.#become({ status: "idle", reason: "disconnected here", retryInMs: null });
  }

  /** Goes on over another transport, from the same place. */
  switchTo(transport: TransportName): void {
    const away = this.#connection.status === "idle";
    this.#leave();
    this.#become({ status: "idle", transport, retryInMs: null });
    if (!away) this.connect();
  }

  /** Throws `HubError`. */
  async markRead(id: string): Promise<void> {
    const { readAt } = await this.#rest.markRead(id);
    this.#change({ kind: "read", ids: [id], readAt });
  }

  /** Throws `HubError`. */
  async markAllRead(): Promise<void> {
    const { readAt, unreadCount } = await this.#rest.markAllRead();
    this.#change({ kind: "read_all", readAt: readAt ?? null, unread: unreadCount });
  }

  #leave(): void {
    this.#opening += 1;
    clearTimeout(this.#timer);
    this.#transport?.close();
    this.#transport = null;
    this.#attempt = 0;
  }

  async #open(): Promise<void> {
    const opening = ++this.#opening;
    const current = (): boolean => opening === this.#opening;
    this.#announced = {};
    this.#become({ status: "connecting", retryInMs: null });
    try {
      const token = await this.#token();
      if (!current()) return;
      const { transport, cursor } = this.#connection;
      this.#transport = OPEN[transport](
        { url: this.#url, token, cursor, types: this.#types },
        {
          message: (name, payload) => current() && this.#received(name, payload),
          closed: (closing) => current() && this.#closed(closing),
        },
      );
    } catch (fault) {
      if (current()) this.#closed({ reason: String(fault) });
    }
  }

  #closed(closing: Closing): void {
    this.#transport = null;
    this.#opening += 1;
    clearTimeout(this.#timer);
    const { reason, refused, retryAfterMs } = { ...closing, ...this.#announced };
    if (refused) return this.#become({ status: "refused", reason, retryInMs: null });
    const wait = retryAfterMs ?? backoff(this.#attempt, Math.random);
    this.#attempt += 1;
    this.#timer = setTimeout(() => void this.#open(), wait);
    this.#become({ status: "waiting", reason, retryInMs: Math.round(wait) });
  }

  #received(name: string, payload: unknown): void {
    if (isSignal(name)) {
      this.#signal({ name, payload } as Signal);
      this.#emitter.emit(name, payload);
      return;
    }
    const envelope = asEnvelope(payload);
    if (envelope) this.#event(envelope);
  }

  #event(envelope: Envelope): void {
    const replayed = this.#replaying > 0;
    if (replayed) this.#replaying -= 1;
    if (envelope.cursor) this.#become({ cursor: envelope.cursor });
    if (!this.#remember(envelope.id)) return;
    const received: Received = { envelope, replayed };
    if (isNotification(envelope)) {
      this.#change({ kind: "notification", notification: envelope, counted: replayed });
      this.#emitter.emit("notification", received);
    }
    this.#emitter.emit("event", received);
    this.#emitter.emit(envelope.type, received);
  }

  #signal(signal: Signal): void {
    switch (signal.name) {
      case "connected":
        return this.#greeted(signal.payload);
      case "sync:reset":
        this.#change({ kind: "reset" });
        return void this.#load();
      case "notification:read": {
        const { ids, readAt, unreadCount } = signal.payload;
        return this.#change({ kind: "read", ids, readAt, unread: unreadCount });
      }
      case "notification:read_all": {
        const { readAt, unreadCount } = signal.payload;
        return this.#change({ kind: "read_all", readAt, unread: unreadCount });
      }
      case "notification:unread_count":
        return this.#change({ kind: "count", unread: signal.payload.count });
      case "notification:updated":
        return this.#change({ kind: "updated", notification: signal.payload });
      case "notification:deleted":
        return this.#change({ kind: "deleted", id: signal.payload.id });
      case "delivery:update":
        return this.#change({ kind: "delivery", update: signal.payload });
      case "server:draining":
        this.#announced = { retryAfterMs: signal.payload.retryAfterMs };
        return;
      case "session:closed": {
        const { reason, reconnect } = signal.payload;
        this.#announced = { reason, ...(!reconnect && { refused: true }) };
      }
    }
  }

  #greeted(connected: Connected): void {
    this.#attempt = 0;
    this.#replaying = connected.replayed;
    this.#become({ status: "online", connected, reason: null, cursor: connected.cursor });
    this.#change({ kind: "connected", connected });
    if (!connected.recovered || !this.#loaded) void this.#load();
  }

  /** Gets the newest page by REST; until that has worked, tries again as long as this connection stands. */
  async #load(attempt = 0): Promise<void> {
    const opening = this.#opening;
    this.#loaded = false;
    try {
      const { notifications, unread } = await this.#rest.newest(FIRST_PAGE);
      if (opening !== this.#opening) return;
      this.#loaded = true;
      this.#change({ kind: "loaded", notifications, unread });
    } catch {
      if (opening !== this.#opening) return; // the next connection will see that it is not loaded
      this.#timer = setTimeout(() => void this.#load(attempt + 1), backoff(attempt, Math.random));
    }
  }

  /** False when this id was here before. */
  #remember(id: string): boolean {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value as string);
    return true;
  }

  #change(change: Change): void {
    const before = this.#inbox;
    this.#inbox = reduce(before, change);
    if (this.#inbox !== before) this.#emitter.emit("inbox", this.#inbox);
  }

  #become(change: Partial<Connection>): void {
    this.#connection = { ...this.#connection, ...change };
    this.#emitter.emit("connection", this.#connection);
  }
}

type Signal = { [Name in keyof Signals]: { name: Name; payload: Signals[Name] } }[keyof Signals];
