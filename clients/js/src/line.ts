/**
 * A line to the hub that comes back: one transport at a time, the next one where that does not carry, always from the same
 * cursor. A change of transport opens the new one beside the old, so nothing is missed in between. Promises messages in
 * order, at least once. Knows no inbox and no listener.
 */
import { backoff } from "./backoff";
import { HubError } from "./errors";
import { Ladder } from "./ladder";
import type { Choice } from "./ladder";
import { Leg } from "./leg";
import type { Connection, Link, LinkSink } from "./link";
import { watchPage } from "./page";
import { asEvent, later } from "./protocol";
import type { Connected, Signals } from "./protocol";
import type { GetToken } from "./rest";
import { openerOf } from "./transports";
import type { Closing } from "./transport";

const ACK_MS = 2000;

export interface LineOptions {
  url: string;
  getToken: GetToken;
  types: readonly string[];
  choice: Choice;
  cursor: string | null;
  rooms: readonly string[];
  /** Rooms of which the presence is asked for; null is the whole tenant. */
  watched: readonly (string | null)[];
  role: Connection["role"];
  /** Names of events that somebody listens to; only native streams need to know. */
  names: () => Iterable<string>;
}

export class Line implements Link {
  readonly rooms: Set<string>;
  /** Rooms of which the presence was asked for; asked again after every return. */
  readonly watched: Set<string | null>;
  readonly #options: LineOptions;
  readonly #sink: LinkSink;
  #ladder: Ladder;
  #connection: Connection;
  #leg: Leg | null = null;
  /** What is about to take over from `#leg`. */
  #next: { leg: Leg | null; done: (up: boolean) => void } | null = null;
  /** Counts attempts, so that what belongs to an earlier one is known for stale. */
  #turn = 0;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #probe: ReturnType<typeof setTimeout> | undefined;
  #acking: ReturnType<typeof setTimeout> | undefined;
  /** The hub said when to come back: nothing else may hasten it. */
  #told = false;
  /** A token that was refused, and with whose successor one more attempt is made. */
  #refused: string | null = null;
  /** Missed events that are still on their way. */
  #replaying = 0;
  #unwatch: (() => void) | null = null;

  constructor(options: LineOptions, sink: LinkSink) {
    this.#options = options;
    this.#sink = sink;
    this.#ladder = new Ladder(options.choice);
    this.rooms = new Set(options.rooms);
    this.watched = new Set(options.watched);
    this.#connection = {
      status: "idle",
      transport: this.#ladder.rung,
      cursor: options.cursor,
      connected: null,
      reason: null,
      code: null,
      retryInMs: null,
      role: options.role,
    };
  }

  get connection(): Connection {
    return this.#connection;
  }

  start(): void {
    const { status } = this.#connection;
    if (status !== "idle" && status !== "refused") return;
    this.#refused = null;
    this.#unwatch ??= watchPage({
      offline: () => this.#leg && this.#lost(this.#leg, { reason: "offline" }),
      online: () => this.#hasten(),
      visible: () => this.#look(),
    });
    void this.#open();
  }

  stop(): void {
    this.#drop();
    this.#unwatch?.();
    this.#unwatch = null;
    this.#become({ status: "idle", reason: "disconnected here", code: null, retryInMs: null });
  }

  switchTo(choice: Choice): void {
    const away = this.#connection.status === "idle";
    this.#drop();
    this.#ladder = new Ladder(choice);
    this.#become({ status: "idle", transport: this.#ladder.rung, retryInMs: null });
    if (!away) this.start();
  }

  async ask(event: string, data: unknown): Promise<unknown> {
    const request = this.#leg?.up ? this.#leg.request : null;
    if (!request) throw new HubError(`${event} needs a connection by Socket.IO`, "no_socket");
    const answer = await request(event, data);
    if (event === "getPresence") this.watched.add((data as { room?: string }).room ?? null);
    return answer;
  }

  async join(room: string): Promise<void> {
    if (this.rooms.has(room)) return;
    this.rooms.add(room);
    try {
      if (this.#leg?.request) await this.ask("joinRoom", { room });
      else if (this.#leg && !(await this.#handover())) throw new HubError(`${room} could not be joined`, "not_joined");
    } catch (fault) {
      this.rooms.delete(room);
      throw fault;
    }
  }

  async leave(room: string): Promise<void> {
    this.watched.delete(room);
    if (!this.rooms.delete(room) || !this.#leg) return;
    if (this.#leg.request) await this.ask("leaveRoom", { room });
    else await this.#handover();
  }

  // -- opening and losing ------------------------------------------------------------------------------
  async #open(): Promise<void> {
    const turn = ++this.#turn;
    clearTimeout(this.#retry);
    this.#told = false;
    const transport = this.#ladder.rung;
    this.#become({ status: "connecting", transport, retryInMs: null });
    try {
      const leg = await this.#started(transport);
      if (turn !== this.#turn) return leg.close();
      this.#leg = leg;
    } catch (fault) {
      if (turn === this.#turn) this.#wait({ reason: String(fault) });
    }
  }

  /** Opens a leg at the present place. Throws what `getToken` throws. */
  async #started(name = this.#connection.transport): Promise<Leg> {
    const { url, getToken, types } = this.#options;
    const [token, open] = await Promise.all([getToken(), openerOf(name, this.#options.names)]);
    const to = { url, token, types, cursor: this.#connection.cursor, rooms: [...this.rooms] };
    return new Leg(name, token, {
      message: (leg, heard, payload) => this.#heard(leg, heard, payload),
      closed: (leg, closing) => this.#lost(leg, closing),
    }).opened(open, to);
  }

  #lost(leg: Leg, closing: Closing): void {
    leg.close();
    if (this.#next && leg === this.#next.leg) return this.#settle(false);
    if (leg !== this.#leg) return;
    this.#leg = null;
    if (leg.lasted) this.#ladder.lasted();
    else this.#ladder.failed();
    if (!closing.refused) return this.#wait(closing);
    if (closing.code === "room_forbidden" && this.rooms.size > 0) {
      this.rooms.clear(); // the token of today does not allow what an earlier one did
      return this.#wait(closing);
    }
    if (leg.final) this.#refuse(closing);
    else void this.#denied(leg, closing);
  }

  /** Comes back once more when there is another token by now; else stays away. */
  async #denied(leg: Leg, closing: Closing): Promise<void> {
    const turn = this.#turn;
    const fresh = await Promise.resolve(this.#options.getToken()).catch(() => leg.token);
    if (turn !== this.#turn) return;
    const again = fresh !== leg.token && this.#refused === null;
    this.#refused = leg.token;
    if (again) return void this.#open();
    this.#refuse(closing);
  }

  #refuse(closing: Closing): void {
    this.#drop();
    this.#become({ status: "refused", reason: closing.reason, code: closing.code ?? null, retryInMs: null });
  }

  #wait({ reason, code, retryAfterMs }: Closing): void {
    this.#drop(this.#attempt);
    this.#told = retryAfterMs !== undefined;
    const wait = retryAfterMs ?? backoff(this.#attempt, Math.random);
    this.#attempt += 1;
    this.#retry = setTimeout(() => void this.#open(), wait);
    this.#become({ status: "waiting", reason, code: code ?? null, retryInMs: Math.round(wait) });
  }

  #drop(attempt = 0): void {
    this.#turn += 1;
    for (const timer of [this.#retry, this.#probe, this.#acking]) clearTimeout(timer);
    this.#acking = undefined;
    this.#leg?.close();
    this.#leg = null;
    this.#settle(false);
    this.#attempt = attempt;
  }

  /** There may be a way again. */
  #hasten(): void {
    if (this.#connection.status !== "waiting" || this.#told) return;
    this.#attempt = 0;
    void this.#open();
  }

  #look(): void {
    this.#hasten();
    if (this.#leg?.dead()) this.#lost(this.#leg, { reason: "no sign of life" });
  }

  // -- from one transport to the next ----------------------------------------------------------------------
  /** Opens another leg beside the present one and goes over to it. False: it did not carry, nothing has changed. */
  #handover(name = this.#connection.transport): Promise<boolean> {
    this.#settle(false);
    return new Promise((done) => {
      const next = { leg: null as Leg | null, done };
      this.#next = next;
      this.#started(name).then(
        (leg) => {
          if (this.#next === next) next.leg = leg;
          else leg.close();
        },
        () => this.#next === next && this.#settle(false),
      );
    });
  }

  #settle(up: boolean): void {
    const next = this.#next;
    this.#next = null;
    if (!up) next?.leg?.close();
    next?.done(up);
  }

  #planProbe(): void {
    clearTimeout(this.#probe);
    const wait = this.#ladder.probe();
    if (wait === null) return;
    this.#probe = setTimeout(() => {
      void this.#handover(this.#ladder.best).then((up) => !up && this.#leg && this.#planProbe());
    }, wait);
  }

  // -- what is heard -------------------------------------------------------------------------------------
  #heard(leg: Leg, name: string, payload: unknown): void {
    if (name === "connected") this.#greeted(leg, payload as Connected);
    if (leg !== this.#leg) return;
    const event = asEvent(name, payload);
    const replayed = event !== null && event.cursor !== null && this.#replaying > 0;
    if (replayed) this.#replaying -= 1;
    if (event) this.#advance(event.cursor);
    else this.#signal(leg, name, payload);
    this.#sink.message(name, payload, replayed);
  }

  #greeted(leg: Leg, connected: Connected): void {
    if (this.#next && leg === this.#next.leg) {
      this.#leg?.close();
      this.#leg = leg;
      this.#settle(true);
    }
    if (leg !== this.#leg) return;
    this.#attempt = 0;
    this.#refused = null;
    this.#ladder.reached(leg.name);
    this.#replaying = connected.replayed;
    const cursor = later(this.#connection.cursor, connected.cursor);
    this.#become({ status: "online", transport: leg.name, connected, reason: null, code: null, cursor });
    this.#planProbe();
    for (const room of this.watched) {
      if (leg.request) this.ask("getPresence", room === null ? {} : { room }).catch(() => this.watched.delete(room));
    }
  }

  #advance(heard: string | null): void {
    const cursor = later(this.#connection.cursor, heard);
    if (cursor === this.#connection.cursor) return;
    this.#become({ cursor });
    if (this.#leg?.request && this.#acking === undefined) {
      this.#acking = setTimeout(() => {
        this.#acking = undefined;
        this.#leg?.tell?.("ack", { cursor: this.#connection.cursor });
      }, ACK_MS);
    }
  }

  #signal(leg: Leg, name: string, payload: unknown): void {
    if (name === "server:draining") leg.announced = { retryAfterMs: (payload as Signals["server:draining"]).retryAfterMs };
    else if (name === "auth:expiring") void this.#renew(leg);
    else if (name === "session:closed") {
      const { code, reason, reconnect } = payload as Signals["session:closed"];
      leg.announced = { ...leg.announced, code, reason, ...(!reconnect && { refused: true }) };
      leg.final = !reconnect;
    }
  }

  /** Goes on with a new token, without a gap; tries as long as the connection stands. */
  async #renew(leg: Leg, attempt = 0): Promise<void> {
    try {
      if (leg.request) await leg.request("refresh", { token: await this.#options.getToken() });
      else if (!(await this.#handover())) throw new Error("no new stream");
    } catch {
      setTimeout(() => leg === this.#leg && void this.#renew(leg, attempt + 1), backoff(attempt, Math.random));
    }
  }

  #become(change: Partial<Connection>): void {
    this.#connection = { ...this.#connection, ...change };
    this.#sink.state(this.#connection);
  }
}
