/**
 * `<hub-toasts>`: what arrives live, for some seconds, in a corner. Each notification once. What came while the
 * client was away is one toast with a count. Warnings of the worst kinds stay until somebody closes them.
 */
import type { About, HubClient } from "../client";
import type { Off } from "../emitter";
import type { Notification } from "../protocol";
import { drawing, make, safeLink } from "./dom";
import { define, HubElement } from "./element";
import { CLOSE, iconOf } from "./icons";
import { STYLE } from "./style";
import { BELL_WORDS } from "./words/bell";

const DURATION_MS = 6000;
const LIMIT = 3;
/** A replay is over when nothing came for so long. */
const QUIET_MS = 250;
/** Ids remembered to show nothing twice. */
const REMEMBERED = 500;
const LASTING = new Set(["error", "critical"]);

const CSS = `${STYLE}
:host { position: fixed; z-index: 1001; top: var(--hub-toasts-inset, 16px); right: var(--hub-toasts-inset, 16px); width: min(var(--hub-toasts-width, 360px), calc(100vw - 32px)); pointer-events: none; }
:host([position^="bottom"]) { top: auto; bottom: var(--hub-toasts-inset, 16px); }
:host([position$="left"]) { right: auto; left: var(--hub-toasts-inset, 16px); }
:host([position$="center"]) { right: auto; left: 50%; translate: -50%; }
.toasts { display: flex; flex-direction: column; gap: 10px; }
:host([position^="bottom"]) .toasts { flex-direction: column-reverse; }
.toast { position: relative; display: flex; align-items: flex-start; gap: 12px; padding: 12px 8px 12px 14px; overflow: hidden; border: 1px solid var(--line); border-radius: var(--hub-radius, 14px); background: var(--surface); box-shadow: var(--shadow); pointer-events: auto; animation: arrive 0.25s ease-out; }
.toast::before { content: ""; position: absolute; inset: 0 auto 0 0; width: 3px; background: var(--tint, var(--accent)); }
.what { flex: 1; min-width: 0; padding-top: 1px; }
.name { display: block; font-weight: 600; text-decoration: none; overflow-wrap: anywhere; }
a.name::after { content: ""; position: absolute; inset: 0; }
a.name:hover { text-decoration: underline; }
.text { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
.close { position: relative; display: grid; place-items: center; flex: none; width: 28px; height: 28px; border-radius: 8px; color: var(--muted); }
.close:hover { background: var(--hover); color: var(--text); }
@keyframes arrive { from { opacity: 0; transform: translateY(-8px); } }
@media (prefers-reduced-motion: reduce) { .toast { animation: none; } }
`;

export class HubToasts extends HubElement {
  /** Own drawings by type or by its noun: the data of an SVG path on 24 by 24. */
  icons: Record<string, string> = {};

  protected readonly words = BELL_WORDS;
  protected readonly css = CSS;
  readonly #seen = new Set<string>();
  readonly #timers = new Map<HTMLElement, { left: number; since: number; timer?: ReturnType<typeof setTimeout> }>();
  #list!: HTMLElement;
  #missed = 0;
  #replay: ReturnType<typeof setTimeout> | undefined;
  #paused = false;

  /** How long a toast stays; milliseconds. */
  get duration(): number {
    return Number(this.getAttribute("duration")) || DURATION_MS;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("visibilitychange", this.#look);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("visibilitychange", this.#look);
    this.#clear();
  }

  /** Shows a toast of the page's own. Its title and text are shown as text. */
  toast(title: string, text = "", severity = "info"): void {
    this.#add(this.#card({ type: "system", title, message: text, severity, link: null }), severity);
  }

  protected build(root: ShadowRoot): void {
    this.#clear();
    this.#list = make("div", {
      class: "toasts",
      part: "toasts",
      role: "log",
      "aria-label": this.say("title"),
      "aria-live": "polite",
      "data-testid": "toasts",
      pointerenter: () => this.#pause(),
      pointerleave: () => this.#resume(),
      focusin: () => this.#pause(),
      focusout: () => this.#resume(),
    });
    root.append(this.#list);
  }

  protected attach(client: HubClient): Off[] {
    return [client.on("notification", (arrived, about) => this.#received(arrived, about))];
  }

  protected override detached(): void {
    this.#clear();
  }

  #received(item: Notification, { replayed }: About): void {
    if (this.#seen.has(item.id)) return;
    this.#seen.add(item.id);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value as string);
    if (item.read) return;
    if (!replayed) return this.#add(this.#card(item), item.severity);
    this.#missed += 1;
    clearTimeout(this.#replay);
    this.#replay = setTimeout(() => {
      const text = this.#missed === 1 ? this.say("missedOne") : this.say("missed", { count: this.#missed });
      this.#missed = 0;
      this.toast(text);
    }, QUIET_MS);
  }

  #card(item: Pick<Notification, "type" | "title" | "message" | "link"> & { id?: string; severity: string }): HTMLElement {
    const link = safeLink(item.link);
    const title = item.title ?? item.type;
    const opened = (event: Event): void => {
      if (item.id) this.client?.notifications.read(item.id).catch((error: unknown) => this.tell("hub-error", error));
      if (!this.tell("hub-open", item)) event.preventDefault();
      this.#remove(card);
    };
    const shown = { class: "name", part: "toast-title" };
    const card = make(
      "div",
      {
        class: "toast",
        part: "toast",
        "data-testid": "toast",
        "data-severity": item.severity,
        ...(item.id && { "data-id": item.id }),
        ...(LASTING.has(item.severity) && { role: "alert" }),
      },
      make("span", { class: "icon", part: "icon" }, drawing(iconOf(item.type, this.icons), 18)),
      make(
        "div",
        { class: "what" },
        link ? make("a", { ...shown, href: link, rel: "noopener", click: opened }, title) : make("strong", shown, title),
        item.message ? make("p", { class: "text", part: "toast-message" }, item.message) : null,
      ),
      make(
        "button",
        { type: "button", class: "close", part: "close", "aria-label": this.say("close"), click: () => this.#remove(card) },
        drawing(CLOSE, 16),
      ),
    );
    return card;
  }

  #add(card: HTMLElement, severity: string): void {
    this.#list.append(card);
    const most = Number(this.getAttribute("limit")) || LIMIT;
    while (this.#list.children.length > most) this.#remove(this.#list.firstElementChild as HTMLElement);
    if (LASTING.has(severity)) return;
    this.#timers.set(card, { left: this.duration, since: 0 });
    if (!this.#paused) this.#run(card);
  }

  #remove(card: HTMLElement): void {
    clearTimeout(this.#timers.get(card)?.timer);
    this.#timers.delete(card);
    card.remove();
    if (!this.#list.children.length) this.#resume();
  }

  #clear(): void {
    clearTimeout(this.#replay);
    this.#missed = 0;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#list?.replaceChildren();
  }

  // -- time stands still while somebody reads, or cannot ------------------------------------------------
  readonly #look = (): void => (document.hidden ? this.#pause() : this.#resume());

  #run(card: HTMLElement): void {
    const timer = this.#timers.get(card);
    if (!timer) return;
    timer.since = Date.now();
    timer.timer = setTimeout(() => this.#remove(card), timer.left);
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    for (const timer of this.#timers.values()) {
      clearTimeout(timer.timer);
      timer.left -= Date.now() - timer.since;
    }
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const card of this.#timers.keys()) this.#run(card);
  }
}

define("hub-toasts", HubToasts);

declare global {
  interface HTMLElementTagNameMap {
    "hub-toasts": HubToasts;
  }
}
