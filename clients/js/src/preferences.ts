/** What a person wants to hear of, and on which channel. */
import type { Rest } from "./rest";

const PATH = "/notifications/preferences";

export interface PreferencesShape {
  email?: boolean;
  sms?: boolean;
  inApp?: boolean;
  discord?: boolean;
  webpush?: boolean;
  /** By event type, and there by channel. */
  types?: Record<string, Record<string, boolean>>;
  quietHours?: { start: string; end: string; timezone?: string } | null;
  digest?: unknown;
  locale?: string | null;
}

export class Preferences {
  readonly #rest: Rest;

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  async get(): Promise<PreferencesShape> {
    return (await this.#rest.send<PreferencesShape>("GET", PATH)).body;
  }

  /** What is left out stays as it is. Gives all of them as they are now. */
  async update(change: PreferencesShape): Promise<PreferencesShape> {
    return (await this.#rest.send<PreferencesShape>("PATCH", PATH, change)).body;
  }
}
