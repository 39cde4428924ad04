/**
 * `<hub-inbox>`: all notifications of a person, page by page, live: what arrives appears on top, what is done in another
 * window happens here too. What is done here shows at once and is taken back when the hub refuses it.
 */
import type { HubClient } from "../client";
import type { Off } from "../emitter";
import type { Notification } from "../protocol";
import { drawing, make, Rows } from "./dom";
import { define, HubElement } from "./element";
import { CHECK } from "./icons";
import { makeRow, showAge, updateRow } from "./row";
import type { RowTools } from "./row";
import { ROWS, STYLE } from "./style";
import { INBOX_WORDS } from "./words/inbox";

const PAGE = 20;
const AGES_MS = 30_000;
const ARCHIVE = "M4 8h16M10 12h4M5 8v10a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8l-2-4H7L5 8Z";
const BACK = "M9 14l-5-5 5-5M4 9h10a6 6 0 0 1 0 12h-2";
const BIN = "M4 7h16M9 7V4h6v3m-8 0l1 13h8l1-13m-7 4v5m4-5v5";

const CSS = `${STYLE}${ROWS}
:host { display: block; background: var(--surface); }
:host([hidden]) { display: none; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; padding: 14px 16px 10px; border-bottom: 1px solid var(--line); }
h2 { flex: 1; font-size: 18px; font-weight: 650; white-space: nowrap; }
.filters { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; width: 100%; }
.views { display: flex; gap: 4px; }
.view { padding: 4px 11px; border-radius: 99px; color: var(--muted); font-size: 13px; font-weight: 550; }
.view:hover { background: var(--hover); }
.view[aria-pressed="true"] { background: color-mix(in srgb, var(--accent) 14%, transparent); color: var(--accent); }
select { max-width: 100%; margin-left: auto; padding: 4px 8px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); color: inherit; font: inherit; font-size: 13px; }
.row .acts .act.more { opacity: 0; }
.row:hover .act.more, .row:focus-within .act.more { opacity: 1; }
@media (hover: none) { .row .acts .act.more { opacity: 1; } }
.chips { display: flex; flex-wrap: wrap; gap: 4px; margin-top: 5px; }
.chip { padding: 0 8px; border-radius: 99px; background: var(--hover); color: var(--muted); font-size: 11.5px; font-weight: 600; line-height: 19px; }
footer { display: grid; justify-items: center; padding: 12px; }
footer .link { padding: 6px 14px; }
`;

type View = "all" | "unread" | "archived";

export class HubInbox extends HubElement {
  static override readonly observedAttributes = [...HubElement.observedAttributes, "channels", "limit"];

  /** Own drawings by type or by its noun: the data of an SVG path on 24 by 24. */
  icons: Record<string, string> = {};

  protected readonly words = INBOX_WORDS;
  protected readonly css = CSS;
  #parts!: ReturnType<HubInbox["parts"]>;
  #rows!: Rows<Notification>;
  #items: readonly Notification[] = [];
  #view: View = "all";
  #type = "";
  #more = false;
  /** Counts loadings, so that what an earlier one brings is known for stale. */
  #loading = 0;
  #busy = false;
  #ages: ReturnType<typeof setInterval> | undefined;
  #nearEnd: IntersectionObserver | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#ages = setInterval(() => this.#tick(), AGES_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#ages);
    this.#nearEnd?.disconnect();
  }

  protected build(root: ShadowRoot): void {
    this.#parts = this.parts();
    root.append(...this.#parts.all);
    this.#rows = new Rows<Notification>(
      this.#parts.list,
      (item) => this.#row(item),
      (row, item) => this.#update(row, item),
    );
    this.#nearEnd?.disconnect();
    if (typeof IntersectionObserver === "undefined") return;
    this.#nearEnd = new IntersectionObserver(([seen]) => seen?.isIntersecting && void this.#next(), { rootMargin: "200px" });
    this.#nearEnd.observe(this.#parts.older);
  }

  protected parts() {
    const markAll = make(
      "button",
      { type: "button", class: "link", part: "mark-all", "data-testid": "mark-all", click: () => this.#markAll() },
      this.say("markAll"),
    );
    const views = (["all", "unread", "archived"] as const).map((view) =>
      make(
        "button",
        { type: "button", class: "view", part: "view", "data-view": view, "data-testid": `view-${view}`, click: () => this.#choose(view, this.#type) },
        this.say(view),
      ),
    );
    const types = make("select", {
      part: "type",
      "data-testid": "type",
      "aria-label": this.say("type"),
      change: () => this.#choose(this.#view, types.value),
    });
    const list = make("ul", { role: "list", part: "list", "data-testid": "notifications", keydown: (event: KeyboardEvent) => this.#key(event) });
    const emptyText = make("span");
    const empty = make("p", { class: "empty", part: "empty", "data-testid": "inbox-empty", hidden: true }, drawing(CHECK, 30), emptyText);
    const fault = make("p", { class: "fault", part: "error", role: "alert", hidden: true });
    const older = make(
      "button",
      { type: "button", class: "link", part: "more", "data-testid": "older", hidden: true, click: () => void this.#next() },
      this.say("more"),
    );
    const header = make(
      "header",
      { part: "header" },
      make("h2", { part: "title" }, this.say("title")),
      markAll,
      make("div", { class: "filters" }, make("div", { class: "views", role: "group", "aria-label": this.say("filter") }, ...views), types),
    );
    return { all: [header, fault, list, empty, make("footer", {}, older)], markAll, views, types, list, empty, emptyText, fault, older };
  }

  protected attach(client: HubClient): Off[] {
    void this.#load();
    void this.#offerTypes(client);
    return [
      client.on("notification", (item) => this.#arrived(item)),
      client.on("notification:updated", (item) => this.#replace(item)),
      client.on("notification:deleted", ({ id }) => this.#put(this.#items.filter((item) => item.id !== id))),
      client.on("notification:read", ({ ids, readAt }) =>
        this.#put(this.#items.map((item) => (ids.includes(item.id) && !item.read ? { ...item, read: true, readAt } : item))),
      ),
      client.on("notification:read_all", ({ readAt }) =>
        this.#put(this.#items.map((item) => (item.read ? item : { ...item, read: true, readAt }))),
      ),
      client.on("inbox", ({ notifications }) => {
        // Deliveries are told of the live ones only.
        const live = new Map(notifications.map((item) => [item.id, item.channels]));
        this.#put(this.#items.map((item) => withChannels(item, live.get(item.id))));
      }),
      client.on("sync:reset", () => void this.#load()),
      client.on("connected", ({ recovered }) => void (recovered || this.#load())),
    ];
  }

  protected override detached(): void {
    this.#loading += 1;
    this.#more = false;
    this.#put([]);
  }

  // -- getting ---------------------------------------------------------------------------------------
  async #load(): Promise<void> {
    const { client } = this;
    if (!client) return;
    const loading = ++this.#loading;
    this.#busy = true;
    try {
      const page = await client.notifications.list(this.#selection(0));
      if (loading !== this.#loading) return;
      this.#more = page.more;
      this.#complain(null);
      this.#put(page.notifications);
    } catch (error) {
      if (loading === this.#loading) this.#complain("loadFailed", error);
    } finally {
      if (loading === this.#loading) this.#busy = false;
    }
  }

  /** The next page. What came or went meanwhile has moved the places: a page may hold what is here already. */
  async #next(): Promise<void> {
    const { client } = this;
    if (!client || !this.#more || this.#busy) return;
    const loading = this.#loading;
    this.#busy = true;
    try {
      const page = await client.notifications.list(this.#selection(this.#items.length));
      if (loading !== this.#loading) return;
      this.#more = page.more;
      const known = new Set(this.#items.map((item) => item.id));
      this.#put([...this.#items, ...page.notifications.filter((item) => !known.has(item.id))]);
    } catch (error) {
      if (loading === this.#loading) this.#complain("loadFailed", error);
    } finally {
      if (loading === this.#loading) this.#busy = false;
    }
  }

  #selection(offset: number) {
    return {
      archived: this.#view === "archived",
      limit: Math.min(100, Number(this.getAttribute("limit")) || PAGE),
      ...(this.#view === "unread" && { read: false }),
      ...(this.#type && { type: this.#type }),
      ...(offset > 0 && { offset }),
    };
  }

  async #offerTypes(client: HubClient): Promise<void> {
    const stats = await client.notifications.stats().catch(() => null);
    if (client !== this.client || !stats) return;
    const { types } = this.#parts;
    const option = (value: string, text: string): HTMLElement => make("option", { value, selected: value === this.#type }, text);
    types.replaceChildren(option("", this.say("anyType")), ...Object.keys(stats.byType).map((type) => option(type, type)));
  }

  #choose(view: View, type: string): void {
    [this.#view, this.#type] = [view, type];
    void this.#load();
    this.#draw();
  }

  #arrived(item: Notification): void {
    const wanted = this.#view !== "archived" && (!this.#type || this.#type === item.type);
    if (!wanted || this.#items.some(({ id }) => id === item.id)) return;
    this.#put([item, ...this.#items]);
  }

  /** Marked somewhere: it may belong here no longer. What was read a moment ago stays where it is. */
  #replace(item: Notification): void {
    const belongs = (this.#view === "archived") === Boolean(item.archivedAt);
    this.#put(belongs ? this.#items.map((old) => (old.id === item.id ? item : old)) : this.#items.filter(({ id }) => id !== item.id));
  }

  // -- showing ---------------------------------------------------------------------------------------
  #put(items: readonly Notification[]): void {
    this.#items = items;
    this.#draw();
  }

  #draw(): void {
    const { views, markAll, empty, emptyText, older } = this.#parts;
    for (const view of views) view.setAttribute("aria-pressed", String(view.dataset.view === this.#view));
    markAll.hidden = this.#view === "archived" || !this.#items.some((item) => !item.read);
    this.#rows.show(this.#items);
    empty.hidden = this.#items.length > 0;
    emptyText.textContent = this.say({ all: "empty", unread: "caughtUp", archived: "emptyArchive" }[this.#view]);
    older.hidden = !this.#more;
  }

  #row(item: Notification): HTMLElement {
    const row = makeRow(item, this.#tools);
    const act = (name: string, path: string, does: () => void): HTMLElement =>
      make(
        "button",
        { type: "button", class: "act more", part: name, "data-testid": name, "aria-label": `${this.say(name)}: ${item.title ?? item.type}`, title: this.say(name), click: does },
        drawing(path, 17),
      );
    const archived = this.#view === "archived";
    row.querySelector(".main")?.setAttribute("tabindex", "0");
    row.querySelector(".acts")?.append(
      archived
        ? act("unarchive", BACK, () => this.#gone(item.id, (inbox) => inbox.unarchive(item.id)))
        : act("archive", ARCHIVE, () => this.#gone(item.id, (inbox) => inbox.archive(item.id))),
      act("remove", BIN, () => this.#gone(item.id, (inbox) => inbox.remove(item.id))),
    );
    if (this.hasAttribute("channels")) row.querySelector(".what")?.append(make("span", { class: "chips", part: "channels" }));
    return row;
  }

  #update(row: HTMLElement, item: Notification): void {
    updateRow(row, item, this.#tools);
    const chips = item.channels.map(({ channel, status }) =>
      make("span", { class: "chip", part: "channel", "data-status": status }, `${channel} ${status}`),
    );
    row.querySelector(".chips")?.replaceChildren(...chips);
  }

  #tick(): void {
    const tools = this.#tools;
    for (const row of this.#parts.list.children) showAge(row as HTMLElement, tools);
  }

  /** A sentence, or nothing any more. */
  #complain(key: string | null, error?: unknown): void {
    const { fault } = this.#parts;
    fault.hidden = key === null;
    if (key === null) return;
    fault.replaceChildren(this.say(key));
    if (key === "loadFailed") fault.append(" ", make("button", { type: "button", class: "link", click: () => void this.#load() }, this.say("again")));
    this.tell("hub-error", error);
  }

  get #tools(): RowTools {
    return {
      say: (key) => this.say(key),
      lang: this.language,
      icons: this.icons,
      now: Date.now(),
      open: (event, id) => this.#opened(event, id),
      toggle: (id) => this.#toggle(id),
    };
  }

  // -- doing -----------------------------------------------------------------------------------------
  #opened(event: MouseEvent, id: string): void {
    const item = this.#items.find((one) => one.id === id);
    if (!item) return;
    if (!item.read) this.#toggle(id);
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (!this.tell("hub-open", item)) event.preventDefault();
  }

  #toggle(id: string): void {
    const item = this.#items.find((one) => one.id === id);
    const inbox = this.client?.notifications;
    if (!item || !inbox) return;
    const wish = { ...item, read: !item.read, readAt: item.read ? null : new Date().toISOString() };
    this.#replace(wish);
    const undo = (): void => this.#put(this.#items.map((one) => (one === wish ? item : one)));
    this.#try(item.read ? inbox.unread(id) : inbox.read(id), undo);
  }

  #markAll(): void {
    const before = this.#items;
    if (!this.client) return;
    this.#put(before.map((item) => (item.read ? item : { ...item, read: true })));
    this.#try(this.client.notifications.readAll(), () => void this.#load());
  }

  /** Takes it out of this list; the focus goes to its neighbour. */
  #gone(id: string, ask: (inbox: HubClient["notifications"]) => Promise<unknown>): void {
    if (!this.client) return;
    const at = this.#items.findIndex((item) => item.id === id);
    const item = this.#items[at];
    if (!item) return;
    this.#put(this.#items.filter((one) => one !== item));
    const mains = this.#mains;
    (mains[Math.min(at, mains.length - 1)] ?? this.#parts.views[0])?.focus();
    this.#try(ask(this.client.notifications), () => {
      if (!this.#items.some((one) => one.id === id)) this.#put([...this.#items.slice(0, at), item, ...this.#items.slice(at)]);
    });
  }

  #try(request: Promise<unknown>, undo: () => void): void {
    this.#complain(null);
    request.catch((error: unknown) => {
      undo();
      this.#complain("failed", error);
    });
  }

  get #mains(): HTMLElement[] {
    return [...this.#parts.list.querySelectorAll<HTMLElement>(".main")];
  }

  #key(event: KeyboardEvent): void {
    const mains = this.#mains;
    const at = mains.findIndex((main) => main.closest(".row")?.contains(event.target as Node));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: mains.length - 1 }[event.key];
    if (to === undefined || !mains[to]) return;
    event.preventDefault();
    mains[to].focus();
  }
}

function withChannels(item: Notification, channels: Notification["channels"] | undefined): Notification {
  return channels && channels !== item.channels ? { ...item, channels } : item;
}

define("hub-inbox", HubInbox);

declare global {
  interface HTMLElementTagNameMap {
    "hub-inbox": HubInbox;
  }
}
