/**
 * HubClient: one person's hub in a page. Promises each event to a listener once and in the log's order, whatever
 * happens to connections, transports and tabs. Touches no network before `connect()` or a request; knows no
 * framework and no element.
 */
import { Emitter } from "./emitter";
import type { Off } from "./emitter";
import type { EventTypes, Location as Place } from "./generated";
import { Holes } from "./holes";
import { Line } from "./line";
import type { Choice } from "./ladder";
import type { Connection, Link, LinkSink } from "./link";
import { Notifications } from "./notifications";
import { canShare } from "./page";
import { asEvent, isNotification, later } from "./protocol";
import type { Envelope, EventOf, Notification, Passage, Presence, Signal, Signals } from "./protocol";
import { Preferences } from "./preferences";
import { Push } from "./push";
import { Rest } from "./rest";
import type { GetToken } from "./rest";
import { backoff } from "./backoff";
import type { Inbox } from "./store";
import type { Start } from "./tabtalk";

export interface HubOptions {
  /** Gives the present JWT; asked before every connection and request. Without it, a cookie says who this is. */
  getToken?: GetToken;
  /** Origin of the hub; default: the page's own. */
  url?: string;
  /** `auto` (default): Socket.IO over WebSocket, else SSE, else HTTP polling. */
  transport?: Choice;
  /** Where an earlier client stopped. */
  cursor?: string | null;
  /** Globs of event types (`booking.*`); default: all. */
  types?: readonly string[];
  /** `topic:` rooms to be in from the start. */
  rooms?: readonly string[];
  /** One connection for all tabs of the browser, where it can; default true. */
  share?: boolean;
}

/** What a listener is told beside the event. */
export interface About {
  /** It happened while this client was away. */
  replayed: boolean;
}

interface Own {
  connection: Connection;
  inbox: Inbox;
  /** Every event, whatever its type. */
  event: Envelope;
  notification: Notification;
}

/** What can be listened to; beside these, every event type of your own. */
export type HubEvents = Own & Signals & { [Type in keyof EventTypes]: EventOf<Type> };

/** Ids remembered to drop duplicates. */
const REMEMBERED = 2000;

export class HubClient {
  /** The inbox: pages of it, its live state in `inbox`, and what a person does with it. */
  readonly notifications: Notifications;
  readonly preferences: Preferences;
  readonly push: Push;
  readonly presence = {
    /** Who is online in the tenant, or in one room; from then on `onJoin` and `onLeave` tell of it. */
    get: (room?: string): Promise<Presence> => this.#presence(room),
    onJoin: (listener: (passage: Passage) => void): Off => this.on("presence:join", listener),
    onLeave: (listener: (passage: Passage) => void): Off => this.on("presence:leave", listener),
  };
  readonly location = {
    /** The person is here now, until `expiresAt`. */
    update: async (place: Place): Promise<{ expiresAt: string }> =>
      (await this.#rest.send<{ expiresAt: string }>("PUT", "/me/location", place)).body,
    forget: async (): Promise<void> => void (await this.#rest.send("DELETE", "/me/location")),
  };
  readonly #options: HubOptions;
  readonly #url: string;
  readonly #getToken: GetToken;
  readonly #emitter = new Emitter();
  readonly #rest: Rest;
  readonly #ids = new Set<string>();
  readonly #names = new Set<string>();
  readonly #holes: Holes;
  #connection: Connection;
  #link: Link | null = null;
  /** The same, from the moment on when it is being made. */
  #linking: Promise<Link> | null = null;
  #choice: Choice;
  /** Counts connects and disconnects, so that what belongs to an earlier one is known for stale. */
  #life = 0;
  #loading: ReturnType<typeof setTimeout> | undefined;
  /** Whether the inbox had its first page, so that a replay is enough to complete it. */
  #loaded = false;

  constructor(options: HubOptions = {}) {
    this.#options = options;
    this.#url = (options.url ?? "").replace(/\/$/, "");
    this.#getToken = options.getToken ?? (() => null);
    this.#choice = options.transport ?? "auto";
    this.#rest = new Rest(this.#url, this.#getToken);
    this.notifications = new Notifications(this.#rest, (inbox) => this.#emitter.emit("inbox", inbox));
    this.#holes = new Holes(options.cursor ?? null, options.types ?? [], (selection) => this.notifications.list(selection));
    this.preferences = new Preferences(this.#rest);
    this.push = new Push(this.#rest, this.#url);
    this.#connection = {
      status: "idle",
      transport: this.#choice === "auto" ? "socketio" : this.#choice,
      cursor: options.cursor ?? null,
      connected: null,
      reason: null,
      code: null,
      retryInMs: null,
      role: "alone",
    };
  }

  get connection(): Connection {
    return this.#connection;
  }

  get inbox(): Inbox {
    return this.notifications.inbox;
  }

  /** Listens to a name of `HubEvents`, or to one event type (`booking.created`). Returns how to stop. */
  on<Name extends keyof HubEvents>(name: Name, listener: (heard: HubEvents[Name], about: About) => void): Off;
  on(type: string, listener: (event: Envelope, about: About) => void): Off;
  on(name: string, listener: (heard: never, about: About) => void): Off {
    this.#names.add(name);
    return this.#emitter.on(name, listener);
  }

  /** Connects, and comes back until `disconnect()`. Does nothing while that is already so. */
  connect(): void {
    if (this.#linking) return this.#link?.start();
    const life = ++this.#life;
    this.#became({ ...this.#connection, status: "connecting" });
    this.#linking = this.#linked({
      state: (connection) => life === this.#life && this.#became(connection),
      message: (name, payload, replayed) => life === this.#life && this.#heard(name, payload, replayed),
      missed: () => life === this.#life && this.#missed(this.#connection.cursor),
    });
    void this.#linking.then((link) => {
      if (life !== this.#life) return;
      this.#link = link;
      link.start();
    });
  }

  /** Cuts the connection and stays away. The cursor is kept: `connect()` gets what was missed. */
  disconnect(): void {
    this.#life += 1;
    clearTimeout(this.#loading);
    this.#link?.stop();
    this.#link = null;
    this.#linking = null;
    const cursor = this.#holes.open ? this.#holes.place : this.#connection.cursor; // what was held is asked for again
    this.#holes.drop();
    this.#became({ ...this.#connection, status: "idle", cursor, reason: "disconnected here", code: null, retryInMs: null });
  }

  /** Goes on over another transport, from the same place; for all tabs that share the connection. */
  switchTo(choice: Choice): void {
    this.#choice = choice;
    if (this.#link) this.#link.switchTo(choice);
    else this.#became({ ...this.#connection, transport: choice === "auto" ? "socketio" : choice });
  }

  /** Joins a `topic:` room, now and after every return. Throws `HubError`. */
  async join(room: string): Promise<void> {
    await (await this.#required()).join(room);
  }

  async leave(room: string): Promise<void> {
    await (await this.#required()).leave(room);
  }

  // -- the way to the hub -----------------------------------------------------------------------------------
  async #linked(sink: LinkSink): Promise<Link> {
    const { share = true, types = [], rooms = [] } = this.#options;
    const start: Start = { cursor: this.#connection.cursor, rooms, watched: [] };
    const line = (role: Connection["role"]) => (from: Start, above: LinkSink): Line =>
      new Line(
        { url: this.#url, getToken: this.#getToken, types, role, choice: this.#choice, names: () => this.#names, ...from },
        above,
      );
    if (share && canShare()) {
      const { scopeOf, Share } = await import("./tabs");
      const token = await Promise.resolve(this.#getToken()).catch(() => null);
      const scope = scopeOf(this.#url, token, types);
      if (scope !== null) return new Share(scope, start, this.#connection, line("leader"), sink);
    }
    return line("alone")(start, sink);
  }

  #required(): Promise<Link> {
    this.connect();
    return this.#linking as Promise<Link>;
  }

  async #presence(room?: string): Promise<Presence> {
    const link = await this.#required();
    return (await link.ask("getPresence", room === undefined ? {} : { room })) as Presence;
  }

  #became(connection: Connection): void {
    const before = this.#connection;
    if ((Object.keys(connection) as (keyof Connection)[]).every((key) => connection[key] === before[key])) return;
    this.#connection = connection;
    this.#holes.place ??= connection.cursor;
    if (connection.status !== "online") clearTimeout(this.#loading); // the next one sees that it is not loaded
    this.#emitter.emit("connection", connection);
  }

  // -- what is heard --------------------------------------------------------------------------------------
  #heard(name: string, payload: unknown, replayed: boolean): void {
    if (this.#holes.holds(() => this.#heard(name, payload, replayed))) return;
    const event = asEvent(name, payload);
    if (event) return this.#event(event, name, replayed);
    this.#signal({ name, payload } as Signal);
    this.#emitter.emit(name, payload, { replayed });
  }

  #event(event: Envelope, name: string, replayed: boolean): void {
    this.#holes.place = later(this.#holes.place, event.cursor);
    if (!this.#remember(event.id)) return;
    const about: About = { replayed };
    if (isNotification(event)) {
      this.notifications.apply({ kind: "notification", notification: event, counted: replayed });
      this.#emitter.emit("notification", event, about);
    }
    this.#emitter.emit("event", event, about);
    this.#emitter.emit(event.type, event, about);
    if (name !== event.type) this.#emitter.emit(name, event, about);
  }

  #signal(signal: Signal): void {
    if (signal.name === "connected") this.#greeted(signal.payload);
    else if (signal.name === "sync:reset") {
      this.notifications.apply({ kind: "reset" });
      this.#missed(this.#connection.connected?.cursor ?? null);
    } else this.notifications.hear(signal);
  }

  #greeted(connected: Signals["connected"]): void {
    // Marks that were made elsewhere meanwhile are not replayed: they show in the count.
    const marked = this.inbox.unread + connected.replayed !== connected.unreadCount;
    this.notifications.apply({ kind: "connected", connected });
    if (!connected.recovered || !this.#loaded || marked) void this.#load();
  }

  /** Nothing up to `head` will be replayed. */
  #missed(head: string | null): void {
    void this.#load();
    void this.#holes.fill(head, (item) => this.#event(item, item.type, true));
  }

  /** Gets the newest page by REST; until that has worked, tries again as long as this connection stands. */
  async #load(attempt = 0): Promise<void> {
    const life = this.#life;
    clearTimeout(this.#loading);
    this.#loaded = false;
    try {
      await this.notifications.reload();
      this.#loaded = true;
    } catch {
      if (life !== this.#life || this.#connection.status !== "online") return;
      this.#loading = setTimeout(() => void this.#load(attempt + 1), backoff(attempt, Math.random));
    }
  }

  /** False when this id was here before. */
  #remember(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > REMEMBERED) this.#ids.delete(this.#ids.values().next().value as string);
    return true;
  }
}
