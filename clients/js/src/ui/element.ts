/**
 * What all elements have in common: where their client comes from, their language and words, their style.
 * Promises that an element listens only while it stands in a document. Knows no notification.
 */
import type { HubClient } from "../client";
import type { Off } from "../emitter";
import { providedClient, share, whenProvided } from "./clients";
import { say } from "./words";
import type { Dictionary, Words } from "./words";

/** Also where there is no DOM, so that a server can import what it will not run. */
const Element = (typeof HTMLElement === "undefined" ? class {} : HTMLElement) as typeof HTMLElement;

export abstract class HubElement extends Element {
  static readonly observedAttributes: string[] = ["url", "token", "lang"];

  #given: HubClient | null = null;
  #client: HubClient | null = null;
  #strings: Dictionary = {};
  #built = false;
  /** What the subclass listens to, the shared client it holds, and the wait for the page's client. */
  #heard: Off[] = [];
  #held: Off | null = null;
  #waits: Off | null = null;

  /** The client in use: the one given, the one for `url` and `token`, or the page's. */
  get client(): HubClient | null {
    return this.#client ?? this.#given;
  }

  set client(client: HubClient | null) {
    this.#given = client;
    if (this.isConnected) this.#attach();
  }

  /** Own words, by the keys of the element's dictionary. */
  get strings(): Dictionary {
    return this.#strings;
  }

  set strings(strings: Dictionary) {
    this.#strings = strings;
    this.#rebuild();
  }

  /** BCP 47, from the nearest `lang`; else the browser's. */
  get language(): string {
    const near = this.closest<HTMLElement>("[lang]")?.getAttribute("lang");
    return near || navigator.language || "en";
  }

  connectedCallback(): void {
    // What was set before the element was defined hides the accessors of its class.
    for (const name of ["client", "strings", "icons"]) {
      if (!Object.hasOwn(this, name)) continue;
      const self = this as unknown as Record<string, unknown>;
      const value = self[name];
      delete self[name];
      self[name] = value;
    }
    this.#rebuild();
    this.#waits = whenProvided(() => this.#attach());
    this.#attach();
  }

  disconnectedCallback(): void {
    this.#waits?.();
    this.#detach();
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after || !this.isConnected || !this.#built) return;
    if (name === "url" || name === "token") return this.#attach();
    this.#rebuild();
  }

  protected abstract readonly words: Words;
  /** A style sheet, on top of the common one. */
  protected abstract readonly css: string;

  /** Fills the empty root. Called again when language or words change. */
  protected abstract build(root: ShadowRoot): void;

  /** Shows what the client has, and listens. Returns how to stop. */
  protected abstract attach(client: HubClient): Off[];

  /** Nobody is listened to any more. */
  protected detached(): void {}

  protected say(key: string, values: Record<string, string | number> = {}): string {
    return say(this.words, this.language, this.#strings, key, values);
  }

  /** Tells the page. False when it asked not to go on. */
  protected tell(name: string, detail: unknown): boolean {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  #rebuild(): void {
    if (!this.isConnected) return;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    this.#silence();
    root.replaceChildren();
    dress(root, this.css);
    this.build(root);
    this.#built = true;
    if (this.#client) this.#heard = this.attach(this.#client);
  }

  #attach(): void {
    this.#detach();
    const token = this.getAttribute("token");
    let client = this.#given;
    if (!client && token) [client, this.#held] = share(this.getAttribute("url") ?? "", token);
    this.#client = client ?? providedClient();
    if (this.#client) this.#heard = this.attach(this.#client);
  }

  #silence(): void {
    for (const off of this.#heard.splice(0)) off();
  }

  #detach(): void {
    this.#silence();
    if (this.#client) this.detached();
    this.#client = null;
    this.#held?.();
    this.#held = null;
  }
}

const SHEETS = new Map<string, CSSStyleSheet>();

/** By an adopted sheet, which no content security policy forbids; by an element where browsers have none. */
function dress(root: ShadowRoot, css: string): void {
  if (!("adoptedStyleSheets" in root)) {
    const style = document.createElement("style");
    style.textContent = css;
    (root as ShadowRoot).append(style);
    return;
  }
  let sheet = SHEETS.get(css);
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    SHEETS.set(css, sheet);
  }
  root.adoptedStyleSheets = [sheet];
}

/** Makes `<name>` the element, once: a page may load this twice. */
export function define(name: string, element: CustomElementConstructor): void {
  if (typeof customElements !== "undefined" && !customElements.get(name)) customElements.define(name, element);
}
