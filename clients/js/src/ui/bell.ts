/**
 * `<hub-bell>`: a bell with the count of what is unread and, behind it, the latest notifications. Opened and used
 * with the mouse, the keyboard or a screen reader. What is clicked is read, its link followed, the panel closed.
 */
import type { About, HubClient } from "../client";
import type { Off } from "../emitter";
import type { Notification } from "../protocol";
import { drawing, make, Rows, safeLink } from "./dom";
import { define, HubElement } from "./element";
import { BELL, CHECK } from "./icons";
import { popup } from "./popup";
import type { Popup } from "./popup";
import { makeRow, showAge, updateRow } from "./row";
import type { RowTools } from "./row";
import { ROWS, STYLE } from "./style";
import { BELL_WORDS } from "./words/bell";

const LIMIT = 20;
const AGES_MS = 30_000;

const CSS = `${STYLE}${ROWS}
:host { display: inline-block; position: relative; }
.bell { position: relative; display: grid; place-items: center; width: var(--hub-bell-size, 40px); height: var(--hub-bell-size, 40px); border-radius: 50%; }
.bell:hover, .bell[aria-expanded="true"] { background: var(--hover); }
.badge { position: absolute; top: -1px; right: -3px; min-width: 18px; padding: 0 5px; border-radius: 99px; background: var(--badge); color: var(--on-badge); font-size: 11px; font-weight: 700; line-height: 18px; text-align: center; box-shadow: 0 0 0 2px var(--surface); }
.status { position: absolute; right: 5px; bottom: 5px; width: 9px; height: 9px; border-radius: 50%; background: #16a34a; box-shadow: 0 0 0 2px var(--surface); }
.panel { position: fixed; inset: auto; z-index: 1000; display: flex; flex-direction: column; width: min(var(--hub-panel-width, 400px), calc(100vw - 16px)); max-height: min(var(--hub-panel-height, 560px), calc(100dvh - 80px)); margin: 0; padding: 0; overflow: hidden; border: 1px solid var(--line); border-radius: var(--hub-radius, 14px); background: var(--surface); color: var(--text); box-shadow: var(--shadow); }
.panel:focus { outline: none; }
header { display: flex; align-items: center; justify-content: space-between; gap: 8px; min-height: 50px; padding: 8px 10px 2px 16px; }
h2 { font-size: 16px; font-weight: 650; }
.tabs { display: flex; gap: 18px; padding: 0 16px; border-bottom: 1px solid var(--line); }
.tab { display: flex; align-items: center; gap: 6px; margin-bottom: -1px; padding: 8px 1px 9px; border-bottom: 2px solid transparent; color: var(--muted); font-size: 13px; font-weight: 550; }
.tab[aria-selected="true"] { border-color: var(--accent); color: var(--text); }
.count { padding: 0 6px; border-radius: 99px; background: var(--hover); font-size: 11px; line-height: 17px; }
.scroll { flex: 1; min-height: 90px; overflow-y: auto; overscroll-behavior: contain; }
footer { padding: 6px; border-top: 1px solid var(--line); text-align: center; }
footer .link { display: block; width: 100%; padding: 7px; text-align: center; }
`;

export class HubBell extends HubElement {
  static override readonly observedAttributes = [...HubElement.observedAttributes, "limit", "view-all"];

  /** Own drawings by type or by its noun: the data of an SVG path on 24 by 24. */
  icons: Record<string, string> = {};

  protected readonly words = BELL_WORDS;
  protected readonly css = CSS;
  #parts!: ReturnType<HubBell["parts"]>;
  #popup: Popup | undefined;
  #rows!: Rows<Notification>;
  #onlyUnread = false;
  #ages: ReturnType<typeof setInterval> | undefined;

  get open(): boolean {
    return this.#popup?.open ?? false;
  }

  override connectedCallback(): void {
    if (!this.dataset.testid) this.dataset.testid = "notification-center";
    super.connectedCallback();
  }

  override disconnectedCallback(): void {
    this.hide();
    super.disconnectedCallback();
  }

  /** Opens the panel and puts the focus into it. */
  show(): void {
    this.#popup?.show();
  }

  /** Closes the panel; the focus returns to the bell when it was inside. */
  hide(): void {
    this.#popup?.hide();
  }

  toggle(): void {
    if (this.open) this.hide();
    else this.show();
  }

  protected build(root: ShadowRoot): void {
    const wasOpen = this.open;
    if (wasOpen) this.hide();
    this.#parts = this.parts();
    const { button, live, panel, list } = this.#parts;
    root.append(button, live, panel);
    this.#popup = popup(this, button, panel, (open) => this.#turned(open));
    this.#rows = new Rows<Notification>(
      list,
      (item) => makeRow(item, this.#tools),
      (row, item) => updateRow(row, item, this.#tools),
    );
    if (wasOpen) this.show();
  }

  protected parts() {
    const badge = make("span", { class: "badge", part: "badge", "data-testid": "badge", hidden: true });
    const status = make("span", { class: "status", part: "status", "data-testid": "status-dot", hidden: true });
    const button = make(
      "button",
      {
        type: "button",
        class: "bell",
        part: "button",
        "data-testid": "bell",
        "aria-haspopup": "dialog",
        "aria-expanded": "false",
        click: () => this.toggle(),
        keydown: (event: KeyboardEvent) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          this.show();
        },
      },
      drawing(BELL, 22),
      badge,
      status,
    );
    const live = make("div", { class: "unseen", role: "status", "aria-live": "polite" });
    const markAll = make(
      "button",
      { type: "button", class: "link", part: "mark-all", "data-testid": "mark-all", click: () => this.#markAll() },
      this.say("markAll"),
    );
    const count = make("span", { class: "count", part: "count", hidden: true });
    const tabs = [this.#tab("all", false), this.#tab("unread", true)];
    tabs[1]?.append(count);
    const list = make("ul", { role: "list", "data-testid": "notifications" });
    const emptyText = make("span");
    const empty = make("p", { class: "empty", part: "empty", "data-testid": "inbox-empty" }, drawing(CHECK, 30), emptyText);
    const scroll = make("div", { class: "scroll", part: "list", role: "tabpanel", id: "list" }, list, empty);
    const fault = make("p", { class: "fault", part: "error", role: "alert", hidden: true });
    const panel = make(
      "section",
      {
        class: "panel",
        part: "panel",
        popover: "manual",
        role: "dialog",
        "aria-labelledby": "title",
        tabindex: "-1",
        hidden: true,
        "data-testid": "inbox",
        keydown: (event: KeyboardEvent) => this.#key(event),
      },
      make("header", { part: "header" }, make("h2", { part: "title", id: "title" }, this.say("title")), markAll),
      make("div", { class: "tabs", part: "tabs", role: "tablist", "aria-labelledby": "title" }, ...tabs),
      fault,
      scroll,
      this.#footer(),
    );
    return { badge, status, button, live, markAll, count, tabs, list, empty, emptyText, scroll, fault, panel };
  }

  protected attach(client: HubClient): Off[] {
    this.#draw();
    return [
      client.on("inbox", () => this.#draw()),
      client.on("connection", () => this.#draw()),
      client.on("notification", (arrived, about) => this.#announce(arrived, about)),
    ];
  }

  protected override detached(): void {
    this.#rows.show([]);
  }

  #tab(word: string, onlyUnread: boolean): HTMLElement {
    return make(
      "button",
      {
        type: "button",
        class: "tab",
        part: "tab",
        role: "tab",
        id: word,
        "aria-controls": "list",
        "data-testid": `tab-${word}`,
        click: () => this.#choose(onlyUnread),
      },
      this.say(word),
    );
  }

  #footer(): HTMLElement | null {
    const target = this.getAttribute("view-all");
    if (target === null) return null;
    const link = safeLink(target);
    const go = (event: Event): void => {
      if (!this.tell("hub-view-all", null)) event.preventDefault();
      this.hide();
    };
    const same = { class: "link", part: "view-all", "data-testid": "view-all", click: go };
    const text = this.say("viewAll");
    return make(
      "footer",
      { part: "footer" },
      link ? make("a", { ...same, href: link }, text) : make("button", { ...same, type: "button" }, text),
    );
  }

  // -- showing ---------------------------------------------------------------------------------------
  #draw(): void {
    const { client } = this;
    if (!client) return;
    const { notifications, unread } = client.inbox;
    const { badge, status, button, markAll, count, tabs, empty, emptyText } = this.#parts;
    const online = client.connection.status === "online";
    badge.hidden = unread === 0;
    badge.textContent = unread > 9 ? "9+" : String(unread);
    status.hidden = !online;
    const name = unread > 0 ? this.say("bell", { count: unread }) : this.say("title");
    button.setAttribute("aria-label", `${name}, ${this.say(online ? "connected" : "disconnected")}`);
    button.title = name;
    markAll.hidden = unread === 0;
    count.hidden = unread === 0;
    count.textContent = String(unread);
    tabs.forEach((tab, at) => {
      const chosen = this.#onlyUnread === (at === 1);
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) this.#parts.scroll.setAttribute("aria-labelledby", tab.id);
    });
    const limit = Number(this.getAttribute("limit")) || LIMIT;
    const shown = notifications.filter((item) => !this.#onlyUnread || !item.read).slice(0, limit);
    this.#keepFocus(() => this.#rows.show(shown));
    empty.hidden = shown.length > 0;
    emptyText.textContent = this.say(this.#onlyUnread ? "caughtUp" : "empty");
    this.#oneStop();
  }

  /** A row that goes away while it has the focus hands it on to its neighbour. */
  #keepFocus(change: () => void): void {
    const focused = this.shadowRoot?.activeElement;
    const row = focused?.closest<HTMLElement>(".row");
    const at = row ? this.#mains.findIndex((main) => row.contains(main)) : -1;
    const kind = focused?.classList.contains("act") ? ".act" : ".main";
    change();
    if (!row || row.isConnected) return;
    const next = this.#mains[Math.min(at, this.#mains.length - 1)];
    const target = next?.closest(".row")?.querySelector<HTMLElement>(kind) ?? this.#parts.panel;
    target.focus();
  }

  #announce(item: Notification, { replayed }: About): void {
    if (replayed || document.querySelector("hub-toasts")) return; // toasts speak for themselves
    this.#parts.live.textContent = this.say("arrived", { title: item.title ?? item.type });
  }

  #turned(open: boolean): void {
    clearInterval(this.#ages);
    this.#parts.fault.hidden = true;
    if (open) {
      this.#tick();
      this.#ages = setInterval(() => this.#tick(), AGES_MS);
    }
    this.tell("hub-toggle", { open });
  }

  #tick(): void {
    const tools = this.#tools;
    for (const row of this.#parts.list.children) showAge(row as HTMLElement, tools);
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
    const item = this.#find(id);
    if (!item || !this.client) return;
    if (!item.read) this.#try(this.client.notifications.read(id));
    // Another window or tab leaves this one as it is.
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (!this.tell("hub-open", item)) event.preventDefault();
    this.hide();
  }

  #toggle(id: string): void {
    const [item, inbox] = [this.#find(id), this.client?.notifications];
    if (item && inbox) this.#try(item.read ? inbox.unread(id) : inbox.read(id));
  }

  #markAll(): void {
    if (!this.client) return;
    this.#parts.panel.focus(); // the button goes away
    this.#try(this.client.notifications.readAll());
  }

  #find(id: string): Notification | undefined {
    return this.client?.inbox.notifications.find((item) => item.id === id);
  }

  #try(request: Promise<unknown>): void {
    const { fault } = this.#parts;
    fault.hidden = true;
    request.catch((error: unknown) => {
      fault.textContent = this.say("failed");
      fault.hidden = false;
      this.tell("hub-error", error);
    });
  }

  #choose(onlyUnread: boolean): void {
    this.#onlyUnread = onlyUnread;
    this.#parts.scroll.scrollTop = 0;
    this.#draw();
  }

  // -- keyboard --------------------------------------------------------------------------------------
  get #mains(): HTMLElement[] {
    return [...this.#parts.list.querySelectorAll<HTMLElement>(".main")];
  }

  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const mains = this.#mains;
    const at = mains.findIndex((main) => main.closest(".row")?.contains(target));
    const onTab = target.getAttribute("role") === "tab";
    const go = (element: HTMLElement | undefined): void => {
      event.preventDefault();
      element?.focus();
      this.#oneStop(element);
    };
    switch (event.key) {
      case "ArrowDown":
        return go(mains[Math.min(at + 1, mains.length - 1)]);
      case "ArrowUp":
        return go(at > 0 ? mains[at - 1] : this.#chosenTab);
      case "Home":
        return onTab ? undefined : go(mains[0]);
      case "End":
        return onTab ? undefined : go(mains.at(-1));
      case "ArrowLeft":
      case "ArrowRight":
        if (!onTab) return;
        this.#choose(!this.#onlyUnread);
        return go(this.#chosenTab);
    }
  }

  get #chosenTab(): HTMLElement | undefined {
    return this.#parts.tabs[this.#onlyUnread ? 1 : 0];
  }

  /** Tab comes to one row of the list, arrows go on from there. */
  #oneStop(chosen?: HTMLElement): void {
    const mains = this.#mains;
    const current = mains.find((main) => main === chosen) ?? mains.find((main) => main.tabIndex === 0) ?? mains[0];
    for (const main of mains) main.tabIndex = main === current ? 0 : -1;
  }
}

define("hub-bell", HubBell);

declare global {
  interface HTMLElementTagNameMap {
    "hub-bell": HubBell;
  }
}
