/**
 * What was missed beyond the hub's replay, as far as an inbox has it: fetched by REST and heard in the log's order,
 * before anything that came later. Holds back what is heard meanwhile, for a bounded time. Knows no connection.
 */
import type { Page, Selection } from "./notifications";
import { later, placeOf } from "./protocol";
import type { Notification } from "./protocol";

/** What is said live is held back no longer than this. */
export const HELD_MS = 10_000;
const PAGE = 100;
/** The newest of what was missed; the inbox has the others. */
const MOST = 2000;

export class Holes {
  /** Everything up to here was heard. */
  place: string | null;
  readonly #list: (selection: Selection) => Promise<Page>;
  readonly #types: readonly RegExp[];
  #held: (() => void)[] | null = null;
  /** Counts fillings, so that what belongs to an earlier one is known for stale. */
  #turn = 0;

  constructor(place: string | null, types: readonly string[], list: (selection: Selection) => Promise<Page>) {
    this.place = place;
    this.#list = list;
    this.#types = types.map((glob) => new RegExp(`^${glob.replace(/[.+^${}()|\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".")}$`));
  }

  /** Whether one is being filled. */
  get open(): boolean {
    return this.#held !== null;
  }

  /** True: it is heard later, after what was missed. */
  holds(hear: () => void): boolean {
    this.#held?.push(hear);
    return this.#held !== null;
  }

  /** Has `hear` hear what the inbox got between the last place and `head`, once, oldest first; then what was held. */
  async fill(head: string | null, hear: (missed: Notification) => void): Promise<void> {
    const [from, to] = [placeOf(this.place), placeOf(head)];
    if (from?.epoch !== to?.epoch || later(this.place, head) === this.place) {
      this.place = head ?? this.place; // another life of the log has no place that both know
      return;
    }
    const turn = ++this.#turn;
    this.#held ??= [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<Notification[]>((done) => {
      timer = setTimeout(() => done([]), HELD_MS);
    });
    const missed = await Promise.race([this.#fetched(head).catch(() => []), late]);
    clearTimeout(timer);
    if (turn !== this.#turn) return;
    for (const item of missed) hear(item);
    this.place = later(this.place, head);
    const held: (() => void)[] = this.#held ?? [];
    this.#held = null;
    for (const [at, heard] of held.entries()) {
      heard();
      // Another hole may have been found in what was held: the rest waits for that one.
      if (this.#held) return void (this.#held as (() => void)[]).push(...held.slice(at + 1));
    }
  }

  /** What is held is not heard any more. */
  drop(): void {
    this.#turn += 1;
    this.#held = null;
  }

  async #fetched(head: string | null): Promise<Notification[]> {
    const found: Notification[] = [];
    const after = this.place as string;
    for (let offset = 0, more = true; more && offset < MOST; offset += PAGE) {
      const page = await this.#list({ after, limit: PAGE, offset });
      found.push(...page.notifications);
      more = page.more;
    }
    return found
      .filter(({ cursor, type }) => later(head, cursor) === head && this.#wanted(type))
      .reverse();
  }

  #wanted(type: string): boolean {
    return this.#types.length === 0 || this.#types.some((glob) => glob.test(type));
  }
}
