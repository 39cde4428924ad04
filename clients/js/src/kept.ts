/** The last messages of the log, for tabs that have missed some. Pure. */
import { later, placeOf } from "./protocol";

/** More are not kept. */
export const KEPT = 200;

export interface KeptMessage {
  name: string;
  payload: unknown;
  cursor: string;
}

export class Kept {
  #messages: KeptMessage[] = [];
  /** Everything after this place is in `#messages`. */
  #since: string | null = null;

  /** From here on, without a hole. */
  begin(since: string | null): void {
    this.#since = since;
    this.#messages = [];
  }

  add(message: KeptMessage): void {
    this.#messages.push(message);
    if (this.#messages.length > KEPT) this.#since = this.#messages.shift()?.cursor ?? null;
  }

  /** What came after `cursor`; null: that is not known here. */
  after(cursor: string): KeptMessage[] | null {
    const [theirs, since] = [placeOf(cursor), placeOf(this.#since)];
    if (!theirs || !since || theirs.epoch !== since.epoch || theirs.offset < since.offset) return null;
    return this.#messages.filter(({ cursor: at }) => later(cursor, at) !== cursor);
  }
}
