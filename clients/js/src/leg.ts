/**
 * One opened transport: whether it has said `connected` in time, whether it still lives, and what the hub announced about its
 * end. Its watchdog counts every sign of life. Does not come back.
 */
import type { Closing, Destination, Open, Transport, TransportName } from "./transport";

/** Until `connected`. */
export const ANSWER_MS = 4000;
/** Heartbeats that may be missed before the line counts as dead. */
export const PATIENCE = 2.5;

export interface Above {
  message(leg: Leg, name: string, payload: unknown): void;
  /** Called at most once, and not after `close()`. */
  closed(leg: Leg, closing: Closing): void;
}

export class Leg {
  readonly name: TransportName;
  readonly token: string | null;
  /** It has said `connected`. */
  up = false;
  announced: Partial<Closing> = {};
  /** The hub ended the session for good: another token would not help. */
  final = false;
  readonly #above: Above;
  #transport: Transport | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #heartbeatMs = 0;
  #heard = 0;
  #since = 0;

  constructor(name: TransportName, token: string | null, above: Above) {
    this.name = name;
    this.token = token;
    this.#above = above;
  }

  opened(open: Open, to: Destination): this {
    this.#timer = setTimeout(() => this.#end({ reason: "the hub did not answer in time" }), ANSWER_MS);
    this.#transport = open(to, {
      message: (name, payload) => this.#message(name, payload),
      alive: () => void (this.#heard = Date.now()),
      closed: (closing) => this.#end(closing),
    });
    if (this.#closed) this.#transport.close(); // it has ended while it was opened
    return this;
  }

  /** Null where the transport goes one way only. */
  get request(): ((event: string, data: unknown) => Promise<unknown>) | null {
    return this.#transport?.request?.bind(this.#transport) ?? null;
  }

  /** Sends what needs no answer. */
  get tell(): Transport["tell"] {
    return this.#transport?.tell?.bind(this.#transport);
  }

  /** It carried for longer than an opening may take: what ended it is not that it cannot. */
  get lasted(): boolean {
    return this.up && Date.now() - this.#since >= ANSWER_MS;
  }

  dead(): boolean {
    return this.up && Date.now() - this.#heard > this.#heartbeatMs * PATIENCE;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#transport?.close();
  }

  #message(name: string, payload: unknown): void {
    if (this.#closed) return;
    this.#heard = Date.now();
    if (name === "connected") {
      this.up = true;
      this.#since = this.#heard;
      this.#heartbeatMs = (payload as { heartbeatMs: number }).heartbeatMs;
      this.#watch(this.#heartbeatMs * PATIENCE);
    }
    this.#above.message(this, name, payload);
  }

  /** One timer for many signs of life: it looks when it goes off, and waits for the rest. */
  #watch(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const left = this.#heartbeatMs * PATIENCE - (Date.now() - this.#heard);
      if (left <= 0) this.#end({ reason: "no sign of life" });
      else this.#watch(left);
    }, wait);
  }

  #end(closing: Closing): void {
    if (this.#closed) return;
    this.close();
    this.#above.closed(this, { ...closing, ...this.announced });
  }
}
