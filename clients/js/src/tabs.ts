/**
 * One line for all tabs of a browser that speak for the same person: the tab that holds the lock has it, the others
 * hear everything from that tab over a channel. When it goes, the next one goes on from the place it has heard of.
 * Messages may come twice around a change; events carry ids.
 */
import type { HubError } from "./errors";
import { Kept } from "./kept";
import type { Choice } from "./ladder";
import type { Line } from "./line";
import type { Connection, Link, LinkSink } from "./link";
import { asEvent, later } from "./protocol";
import { Calls } from "./tabtalk";
import type { Call, Said, Start, Word } from "./tabtalk";

export { scopeOf } from "./tabtalk";

/** Without an answer from the leader for so long, it is frozen or dead. */
export const ANSWER_MS = 4000;

export class Share implements Link {
  readonly #scope: string;
  readonly #make: (start: Start, sink: LinkSink) => Line;
  readonly #sink: LinkSink;
  readonly #id = Math.random().toString(36).slice(2);
  readonly #mine = new Set<string>();
  /** What each other tab wants to be in. */
  readonly #wants = new Map<string, Set<string>>();
  readonly #kept = new Kept();
  readonly #calls = new Calls((word) => this.#say(word));
  readonly #bye = (): void => this.#say({ kind: "bye" });
  #channel: BroadcastChannel | null = null;
  #line: Line | null = null;
  #release: (() => void) | null = null;
  #abort: AbortController | null = null;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #leader: string | null = null;
  #known: Start;
  #connection: Connection;

  constructor(scope: string, start: Start, idle: Connection, make: (start: Start, sink: LinkSink) => Line, sink: LinkSink) {
    this.#scope = scope;
    this.#known = start;
    this.#kept.begin(start.cursor);
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
          if (this.#connection.cursor === null) this.#kept.begin(cursor);
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
    if (word.kind === "answer") return this.#calls.answered(word);
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
    if (fresh) this.#kept.begin(cursor);
    this.#become({ ...word.connection, cursor, role: "follower" });
    if (word.missed) this.#skip(word.connection.cursor);
    if (fresh || word.missed) this.#sink.missed();
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
    const same = cursor === null || cursor === here || later(here, cursor) !== here;
    const missed = same ? [] : this.#kept.after(cursor);
    this.#announce(to, missed === null);
    for (const { name, payload } of missed ?? []) this.#say({ kind: "message", name, payload, replayed: true, to });
  }

  /** What lies before `head` is not to be had from tabs. */
  #skip(head: string | null): void {
    const cursor = later(this.#connection.cursor, head);
    this.#kept.begin(cursor);
    this.#become({ cursor });
  }

  #deliver(name: string, payload: unknown, replayed: boolean): void {
    const event = asEvent(name, payload);
    if (name === "sync:reset") this.#skip(this.#connection.connected?.cursor ?? null);
    if (event?.cursor) {
      this.#kept.add({ name, payload, cursor: event.cursor });
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
    return this.#calls.call(call);
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

  #become(change: Partial<Connection>): void {
    this.#connection = { ...this.#connection, ...change };
    this.#sink.state(this.#connection);
  }
}
