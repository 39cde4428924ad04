/** Web push for this browser; what it takes is loaded when it is asked for. */
import type { Rest } from "./rest";

export interface PushOptions {
  /** Where the service worker stands, on the page's own origin; default: the hub's own, when that is the page's origin. */
  worker?: string;
}

export class Push {
  readonly #rest: Rest;
  readonly #url: string;

  constructor(rest: Rest, url: string) {
    this.#rest = rest;
    this.#url = url;
  }

  /** Asks for leave (only after a click), subscribes this browser and tells the hub. Throws `HubError`. */
  async subscribe(options: PushOptions = {}): Promise<void> {
    await (await import("./webpush")).subscribe(this.#rest, options.worker ?? `${this.#url}/static/hub-sw.js`);
  }

  /** This browser gets no more pushes. */
  async unsubscribe(options: PushOptions = {}): Promise<void> {
    await (await import("./webpush")).unsubscribe(this.#rest, options.worker ?? `${this.#url}/static/hub-sw.js`);
  }
}
