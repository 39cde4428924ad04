/**
 * Which transport to try next: the best one first, the next one after it has failed twice, and from the last one
 * back to the first. Pure; knows no timer and no connection.
 */
import type { TransportName } from "./transport";

export const RUNGS: readonly TransportName[] = ["socketio", "sse", "polling"];
export const TRIES = 2;
/** Milliseconds before the best transport is tried again from a lower one; doubles up to the second. */
export const PROBE_MS = 15_000;
export const PROBE_MOST_MS = 300_000;

/** `auto` climbs; any other choice stays where it is. */
export type Choice = TransportName | "auto";

export class Ladder {
  readonly #rungs: readonly TransportName[];
  #at = 0;
  #failures = 0;
  #probes = 0;

  constructor(choice: Choice) {
    this.#rungs = choice === "auto" ? RUNGS : [choice];
  }

  get rung(): TransportName {
    return this.#rungs[this.#at] as TransportName;
  }

  get best(): TransportName {
    return this.#rungs[0] as TransportName;
  }

  /** The present one did not carry. */
  failed(): void {
    this.#failures += 1;
    if (this.#failures < TRIES) return;
    this.#failures = 0;
    this.#at = (this.#at + 1) % this.#rungs.length;
  }

  /** This one answers. */
  reached(name: TransportName): void {
    const at = this.#rungs.indexOf(name);
    if (at !== this.#at) this.#failures = 0;
    this.#at = at;
    if (at === 0) this.#probes = 0;
  }

  /** The present one has carried for a while. */
  lasted(): void {
    this.#failures = 0;
  }

  /** Milliseconds until the best one is worth another try, longer each time; null: it is the present one. */
  probe(): number | null {
    if (this.#at === 0) return null;
    return Math.min(PROBE_MOST_MS, PROBE_MS * 2 ** this.#probes++);
  }
}
