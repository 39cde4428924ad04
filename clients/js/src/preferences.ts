/** What a person wants to hear of, and on which channel. */
import type { Preferences as Wanted, PreferencesChange } from "./generated";
import type { Rest } from "./rest";

const PATH = "/notifications/preferences";

export class Preferences {
  readonly #rest: Rest;

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  async get(): Promise<Wanted> {
    return (await this.#rest.send<Wanted>("GET", PATH)).body;
  }

  /** What is left out stays as it is, null takes a word back. Gives all of them as they are now. */
  async update(change: PreferencesChange): Promise<Wanted> {
    return (await this.#rest.send<Wanted>("PATCH", PATH, change)).body;
  }
}
