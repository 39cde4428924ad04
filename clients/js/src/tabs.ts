/**
 * One line for all tabs of a browser that speak for the same person: the tab that holds the lock has it, the others
 * hear everything from that tab over a channel. When it goes, the next one goes on from the place it has heard of.
 * Messages may come twice around a change; events carry ids.
 */
import { HubError } from "./errors";
import type { Choice } from "./ladder";
import type { Line } from "./line";
import type { Connection, Link, LinkSink } from "./link";
import { asEvent, later, placeOf } from "./protocol";

/** Without an answer from the leader for so long, it is frozen or dead. */
export const ANSWER_MS = 4000;
const ASK_MS = 12_000;
/** Messages kept for tabs that have missed some. */
const KEPT = 200;

/** Where a leader begins: what the one before it had. */
export interface Start {
  cursor: string | null;
  rooms: readonly string[];
  watched: readonly (string | null)[];
}

type Word = { from: string } & (
  | { kind: "hello"; cursor: string | null; rooms: readonly string[] }
  | { kind: "state"; connection: Connection; start: Start; to?: string; missed?: boolean }
  | { kind: "message"; name: string; payload: unknown; replayed: boolean; to?: string }
  | { kind: "ask"; id: number; call: Call }
  | { kind: "answer"; id: number; to: string; answer?: unknown; fault?: { message: string; code: string } }
  | { kind: "bye" }
);
type Call = { verb: "ask"; event: string; data: unknown } | { verb: "join" | "leave"; room: string } | { verb: "start" } | { verb: "switchTo"; choice: Choice };
type Waiting = { resolve: (answer: unknown) => void; reject: (fault: HubError) => void; timer: ReturnType<typeof setTimeout> };
/** What a reader of the type `Word` says; who says it is put on by the sender. */
type Said = Word extends infer One ? (One extends Word ? Omit<One, "from"> : never) : never;

/** A name for everybody who may share: the same hub, and a token that says the same but for its times. Null: nobody. */
export function scopeOf(url: string, token: string | null, types: readonly string[]): string | null {
  const part = token?.split(".")[1];
  if (!part) return null;
  try {
    const text = atob(part.replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(text) as Record<string, unknown>;
    const lasting = Object.keys(claims).filter((name) => !["exp", "iat", "nbf", "jti"].includes(name));
    const who = lasting.sort().map((name) => [name, claims[name]]);
    return `hub:${JSON.stringify([url || location.origin, who, [...types].sort()])}`;
  } catch {
    return null;
  }
}

export class Share implements Link {
  readonly #scope: string;
  readonly #make: (start: Start, sink: LinkSink) => Line;
  readonly #sink: LinkSink;
  readonly #id = Math.random().toString(36).slice(2);
  readonly #mine = new Set<string>();
  /** What each other tab wants to be in. */
  readonly #wants = new Map<string, Set<string>>();
  readonly #kept: { name: string; payload: unknown; cursor: string }[] = [];
  readonly #waiting = new Map<number, Waiting>();
  readonly #bye = (): void => this.#say({ kind: "bye" });
  #channel: BroadcastChannel | null = null;
  #line: Line | null = null;
  #release: (() => void) | null = null;
  #abort: AbortController | null = null;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #leader: string | null = null;
  #known: Start;
  #connection: Connection;
  #asked = 0;
  /** Everything after this place is in `#kept`. */
  #since: string | null;

  constructor(scope: string, start: Start, idle: Connection, make: (start: Start, sink: LinkSink) => Line, sink: LinkSink) {
    this.#scope = scope;
    this.#known = start;
    this.#since = start.cursor;
    this.#connection = { ...idle, role: "follower" };
    this.#make = make;
    this.#sink = sink;
    for (const room of start.rooms) this.#mine.add(room);
  }

  get connection(): Connection {
    return this.#connection;
  }

  start(): void {
    if (this.#channel) return void this.#call({ verb: "start" }).catch(() => {});
    this.#channel = new BroadcastChannel(this.#scope);
    this.#channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    addEventListener("pagehide", this.#bye);
    document.addEventListener("visibilitychange", this.#shown);
    this.#become({ status: "connecting" });
    this.#queue(false);
    this.#hello();
  }

  stop(): void {
    this.#bye();
    document.removeEventListener("visibilitychange", this.#shown);
    removeEventListener("pagehide", this.#bye);
    clearTimeout(this.#patience);
    this.#abort?.abort();
    this.#resign();
    this.#channel?.close();
    this.#channel = null;
    this.#become({ status: "idle", reason: "disconnected here", code: null, retryInMs: null });
  }

  switchTo(choice: Choice): void {
    this.#call({ verb: "switchTo", choice }).catch(() => {});
  }

  ask(event: string, data: unknown): Promise<unknown> {
    return this.#call({ verb: "ask", event, data });
  }

  async join(room: string): Promise<void> {
    await this.#call({ verb: "join", room });
    this.#mine.add(room);
  }

  async leave(room: string): Promise<void> {
    this.#mine.delete(room);
    await this.#call({ verb: "leave", room });
  }

  // -- who leads --------------------------------------------------------------------------------------
  #queue(steal: boolean): void {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const lead = (): Promise<void> | void => {
      if (!abort.signal.aborted && this.#channel) return new Promise((release) => this.#lead(release));
    };
    const options = steal ? { steal } : { signal: abort.signal };
    navigator.locks.request(this.#scope, options, lead).catch(() => {
      if (abort.signal.aborted || !this.#channel) return;
      this.#resign(); // another tab has taken it, having heard nothing from this one
      this.#queue(false);
    });
  }

  #lead(release: () => void): void {
    clearTimeout(this.#patience);
    this.#release = release;
    this.#leader = this.#id;
    this.#wants.clear();
    this.#line = this.#make(
      { ...this.#known, cursor: this.#connection.cursor, rooms: [...new Set([...this.#known.rooms, ...this.#mine])] },
      {
        state: (connection) => {
          const cursor = later(this.#connection.cursor, connection.cursor);
          const { cursor: before, ...shown } = this.#connection;
          this.#become({ ...connection, cursor, role: "leader" });
          // Cursors move with every message, which followers see for themselves.
          if (Object.keys(shown).some((key) => key !== "role" && shown[key as keyof typeof shown] !== connection[key as keyof typeof shown]) || before === null) this.#announce();
        },
        message: (name, payload, replayed) => {
          this.#say({ kind: "message", name, payload, replayed });
          this.#deliver(name, payload, replayed);
        },
        missed: () => this.#sink.missed(),
      },
    );
    this.#line.start();
    this.#announce();
  }

  #resign(): void {
    this.#line?.stop();
    this.#line = null;
    this.#leader = null;
    this.#release?.();
    this.#release = null;
  }

  readonly #shown = (): void => {
    if (document.visibilityState === "visible" && !this.#line) this.#hello();
  };

  /** Asks the leader how it stands. One that does not answer is replaced. */
  #hello(): void {
    clearTimeout(this.#patience);
    if (this.#line || !this.#channel) return;
    this.#say({ kind: "hello", cursor: this.#connection.cursor, rooms: [...this.#mine] });
    this.#patience = setTimeout(() => !this.#line && this.#queue(true), ANSWER_MS);
  }

  // -- what tabs say to each other -----------------------------------------------------------------------
  #say(word: Said): void {
    this.#channel?.postMessage({ ...word, from: this.#id });
  }

  #announce(to?: string, missed = false): void {
    const { rooms, watched } = this.#line ?? { rooms: [], watched: [] };
    const start = { cursor: this.#connection.cursor, rooms: [...rooms], watched: [...watched] };
    this.#say({ kind: "state", connection: this.#connection, start, missed, ...(to && { to }) });
  }

  #hear(word: Word): void {
    if ("to" in word && word.to !== undefined && word.to !== this.#id) return;
    if (word.kind === "answer") return this.#answered(word);
    if (this.#line) return this.#serve(this.#line, word);
    if (word.kind === "message") return this.#deliver(word.name, word.payload, word.replayed);
    if (word.kind !== "state") return;
    clearTimeout(this.#patience);
    const fresh = this.#connection.cursor === null;
    this.#known = word.start;
    const changed = this.#leader !== word.from;
    this.#leader = word.from;
    // The cursor moves with what is delivered here; only a tab that has none yet takes the leader's.
    const cursor = fresh ? word.connection.cursor : this.#connection.cursor;
    if (fresh) this.#since = cursor;
    this.#become({ ...word.connection, cursor, role: "follower" });
    if (fresh || word.missed) this.#sink.missed();
    if (word.missed) this.#become({ cursor: later(cursor, word.connection.cursor) });
    if (changed && word.to === undefined) this.#hello(); // a new leader does not know this tab's rooms
  }

  #serve(line: Line, word: Word): void {
    if (word.kind === "hello") {
      this.#wants.set(word.from, new Set(word.rooms));
      for (const room of word.rooms) line.join(room).catch(() => {});
      this.#catchUp(word.from, word.cursor);
    } else if (word.kind === "bye") {
      const rooms = this.#wants.get(word.from) ?? [];
      this.#wants.delete(word.from);
      for (const room of rooms) void this.#leaveUnlessWanted(line, room).catch(() => {});
    } else if (word.kind === "ask") {
      const { from: to, id } = word;
      this.#carry(line, word.call, to).then(
        (answer) => this.#say({ kind: "answer", id, to, answer }),
        ({ message, code = "internal" }: HubError) => this.#say({ kind: "answer", id, to, fault: { message, code } }),
      );
    }
  }

  /** What the tab has not heard yet, or that it must fetch it itself. */
  #catchUp(to: string, cursor: string | null): void {
    const here = this.#connection.cursor;
    const [theirs, since] = [placeOf(cursor), placeOf(this.#since)];
    const same = cursor === null || cursor === here || later(here, cursor) !== here;
    const known = theirs && since && theirs.epoch === since.epoch && theirs.offset >= since.offset;
    this.#announce(to, !same && !known);
    if (same || !known) return;
    for (const { name, payload, cursor: at } of this.#kept) {
      if (later(cursor, at) !== cursor) this.#say({ kind: "message", name, payload, replayed: true, to });
    }
  }

  #deliver(name: string, payload: unknown, replayed: boolean): void {
    const event = asEvent(name, payload);
    if (event?.cursor) {
      this.#kept.push({ name, payload, cursor: event.cursor });
      if (this.#kept.length > KEPT) this.#since = this.#kept.shift()?.cursor ?? null;
      const cursor = later(this.#connection.cursor, event.cursor);
      if (cursor !== this.#connection.cursor) this.#become({ cursor });
    }
    // Rooms that other tabs have joined are none of this one's business.
    if (event?.room?.startsWith("topic:") && !this.#mine.has(event.room)) return;
    this.#sink.message(name, payload, replayed);
  }

  // -- calls -----------------------------------------------------------------------------------------------
  #call(call: Call): Promise<unknown> {
    if (this.#line) return this.#carry(this.#line, call, this.#id);
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new HubError("the tab with the connection did not answer", "unreachable"));
      }, ASK_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#say({ kind: "ask", id, call });
    });
  }

  async #carry(line: Line, call: Call, by: string): Promise<unknown> {
    if (call.verb === "ask") return line.ask(call.event, call.data);
    if (call.verb === "start") return line.start();
    if (call.verb === "switchTo") return line.switchTo(call.choice);
    const wants = by === this.#id ? this.#mine : (this.#wants.get(by) ?? new Set());
    if (by !== this.#id) this.#wants.set(by, wants);
    if (call.verb === "join") {
      await line.join(call.room);
      wants.add(call.room);
      return this.#announce();
    }
    wants.delete(call.room);
    return this.#leaveUnlessWanted(line, call.room);
  }

  async #leaveUnlessWanted(line: Line, room: string): Promise<void> {
    if (this.#mine.has(room) || [...this.#wants.values()].some((rooms) => rooms.has(room))) return;
    await line.leave(room);
    this.#announce();
  }

  #answered({ id, answer, fault }: Word & { kind: "answer" }): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (fault) waiting.reject(new HubError(fault.message, fault.code));
    else waiting.resolve(answer);
  }

  #become(change: Partial<Connection>): void {
    this.#connection = { ...this.#connection, ...change };
    this.#sink.state(this.#connection);
  }
}
