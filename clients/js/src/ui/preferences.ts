/**
 * `<hub-preferences>`: what a person wants to hear of and on which channel, quiet hours, and mails gathered. Each change is
 * shown and saved at once; one that the hub refuses is taken back. Live: what is changed elsewhere shows here.
 */
import type { HubClient } from "../client";
import type { Off } from "../emitter";
import { make } from "./dom";
import { define, HubElement } from "./element";
import { STYLE } from "./style";
import { PREFERENCES_WORDS } from "./words/preferences";

const CHANNELS = ["inApp", "email", "sms", "discord", "webpush"] as const;
type Channel = (typeof CHANNELS)[number];
type Now = Awaited<ReturnType<HubClient["preferences"]["get"]>>;
type Change = Parameters<HubClient["preferences"]["update"]>[0];
/** A word of its own: taking the word back would let the tenant's hours hold again. */
const NEVER = { start: "00:00", end: "00:00" };
const NIGHT = { start: "22:00", end: "07:00" };

const CSS = `${STYLE}
:host { display: block; background: var(--surface); container-type: inline-size; }
:host([hidden]) { display: none; }
.all { display: grid; gap: 26px; padding: 18px; }
h2 { font-size: 18px; font-weight: 650; }
h3 { margin: 0 0 8px; font-size: 14px; font-weight: 650; }
.switches { display: grid; }
.switch { display: flex; align-items: center; justify-content: space-between; gap: 12px; padding: 9px 0; border-top: 1px solid var(--line); cursor: pointer; }
.switches .switch:first-child { border-top: 0; }
input[type="checkbox"] { flex: none; margin: 0; accent-color: var(--accent); cursor: pointer; }
.switch input { appearance: none; position: relative; width: 38px; height: 22px; border-radius: 99px; background: color-mix(in srgb, var(--muted) 75%, var(--surface)); transition: background 0.15s; }
.switch input::after { content: ""; position: absolute; top: 3px; left: 3px; width: 16px; height: 16px; border-radius: 50%; background: var(--surface); transition: translate 0.15s; }
.switch input:checked { background: var(--accent); }
.switch input:checked::after { translate: 16px; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: 13.5px; }
th { padding: 7px 8px; color: var(--muted); font-size: 12px; font-weight: 600; text-align: center; white-space: nowrap; }
th:first-child { padding-left: 0; text-align: left; }
tbody th { color: inherit; font-size: inherit; font-weight: 500; }
td { padding: 7px 8px; text-align: center; }
tbody tr { border-top: 1px solid var(--line); }
td input { width: 17px; height: 17px; }
.hint { margin: -4px 0 8px; color: var(--muted); font-size: 13px; }
.fields { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 8px; }
.field { display: grid; gap: 3px; min-width: 0; color: var(--muted); font-size: 12px; }
.field select, .field input { max-width: 100%; padding: 6px 9px; border: 1px solid var(--line); border-radius: 8px; background: var(--surface); color: var(--text); font: inherit; font-size: 13.5px; }
.state { min-height: 1.4em; color: var(--good); font-size: 13px; }
@media (prefers-reduced-motion: reduce) { .switch input, .switch input::after { transition: none; } }
`;

export class HubPreferences extends HubElement {
  static override readonly observedAttributes = [...HubElement.observedAttributes, "channels", "types"];

  protected readonly words = PREFERENCES_WORDS;
  protected readonly css = CSS;
  #labels: Record<string, string> = {};
  #known: string[] = [];
  #shown: Now | null = null;
  #confirmed: Now | null = null;
  /** Changes on their way, in order. */
  #wishes: Change[] = [];
  #all!: HTMLElement;
  #state!: HTMLElement;
  #fault!: HTMLElement;

  /** What the types are called: `{"booking.created": "New bookings"}`. */
  get labels(): Record<string, string> {
    return this.#labels;
  }

  set labels(labels: Record<string, string>) {
    this.#labels = labels;
    if (this.#shown) this.#draw();
  }

  protected build(root: ShadowRoot): void {
    this.#fault = make("p", { class: "fault", part: "error", role: "alert", hidden: true });
    this.#state = make("p", { class: "state", part: "state", role: "status" });
    this.#all = make("div", { class: "all", part: "all" });
    root.append(this.#fault, this.#all);
    if (this.#shown) this.#draw();
  }

  protected attach(client: HubClient): Off[] {
    void this.#load();
    return [client.on("preferences:updated", (now) => this.#said(now as Now))];
  }

  protected override detached(): void {
    [this.#confirmed, this.#shown, this.#wishes] = [null, null, []];
    this.#all.replaceChildren();
  }

  // -- the hub ---------------------------------------------------------------------------------------
  async #load(): Promise<void> {
    const { client } = this;
    if (!client) return;
    try {
      const [now, stats] = await Promise.all([client.preferences.get(), client.notifications.stats().catch(() => null)]);
      if (client !== this.client) return;
      this.#known = Object.keys(stats?.byType ?? {});
      this.#fault.hidden = true;
      this.#said(now);
    } catch (error) {
      if (client !== this.client) return;
      this.#complain("loadFailed", error);
      this.#fault.append(" ", make("button", { type: "button", class: "link", click: () => void this.#load() }, this.say("again")));
    }
  }

  #said(now: Now): void {
    this.#confirmed = now;
    this.#show();
  }

  /** What is confirmed, with all that is still on its way. */
  #show(): void {
    if (!this.#confirmed) return;
    this.#shown = this.#wishes.reduce(merged, this.#confirmed);
    this.#draw();
  }

  #change(change: Change): void {
    const { client } = this;
    if (!client) return;
    this.#fault.hidden = true;
    this.#state.textContent = "";
    this.#wishes.push(change);
    this.#show();
    const over = (): void => void (this.#wishes = this.#wishes.filter((wish) => wish !== change));
    client.preferences.update(change).then(
      (now) => {
        if (client !== this.client) return;
        over();
        this.#said(now);
        this.#state.textContent = this.say("saved");
        this.tell("hub-saved", now);
      },
      (error: unknown) => {
        if (client !== this.client) return;
        over();
        this.#show();
        this.#complain("failed", error);
      },
    );
  }

  #complain(key: string, error: unknown): void {
    this.#fault.hidden = false;
    this.#fault.textContent = this.say(key);
    this.tell("hub-error", error);
  }

  // -- showing ---------------------------------------------------------------------------------------
  #draw(): void {
    const now = this.#shown;
    if (!now) return;
    // Everything is made anew; who had the focus has it again.
    const focused = this.shadowRoot?.activeElement?.getAttribute("data-testid");
    const types = this.#types(now);
    this.#all.replaceChildren(
      make("h2", { part: "title" }, this.say("title")),
      section(this.say("channels"), make("div", { class: "switches" }, ...this.#channels.map((channel) => this.#switch(channel, now)))),
      ...(types.length > 0 ? [section(this.say("types"), this.#matrix(types, now))] : []),
      this.#quiet(now),
      this.#digest(now),
      this.#state,
    );
    if (focused) this.shadowRoot?.querySelector<HTMLElement>(`[data-testid="${quoted(focused)}"]`)?.focus();
  }

  get #channels(): Channel[] {
    const named = this.getAttribute("channels")?.split(/[\s,]+/);
    return CHANNELS.filter((channel) => !named || named.includes(channel));
  }

  #types(now: Now): string[] {
    const named = this.getAttribute("types")?.split(/[\s,]+/).filter(Boolean);
    return named ?? [...new Set([...Object.keys(this.#labels), ...Object.keys(now.types ?? {}), ...this.#known])].sort();
  }

  #switch(channel: Channel, now: Now): HTMLElement {
    const input = make("input", {
      type: "checkbox",
      role: "switch",
      "data-testid": channel,
      change: () => this.#change({ [channel]: input.checked }),
    });
    input.checked = now[channel] !== false;
    return make("label", { class: "switch", part: "channel" }, this.say(channel), input);
  }

  #matrix(types: string[], now: Now): HTMLElement {
    const channels = this.#channels;
    const head = make("tr", {}, make("th", { scope: "col" }, this.say("type")), ...channels.map((channel) => make("th", { scope: "col" }, this.say(channel))));
    const rows = types.map((type) => {
      const label = this.#labels[type] ?? type;
      const cells = channels.map((channel) => {
        const input = make("input", {
          type: "checkbox",
          "aria-label": `${label}: ${this.say(channel)}`,
          "data-testid": `${type} ${channel}`,
          change: () => this.#change({ types: { [type]: { [channel]: input.checked } } }),
        });
        input.checked = now.types?.[type]?.[channel] ?? now[channel] !== false;
        return make("td", {}, input);
      });
      return make("tr", { part: "type" }, make("th", { scope: "row" }, label), ...cells);
    });
    return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }

  #quiet({ quietHours }: Now): HTMLElement {
    const zone = quietHours?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    const on = make("input", {
      type: "checkbox",
      role: "switch",
      "data-testid": "quiet",
      change: () => this.#change({ quietHours: { ...(on.checked ? NIGHT : NEVER), timezone: zone } }),
    });
    const wanted = quietHours && quietHours.start !== quietHours.end;
    on.checked = Boolean(wanted);
    const toggle = make("label", { class: "switch" }, this.say("quiet"), on);
    if (!wanted) return section(null, toggle, make("p", { class: "hint" }, this.say("quietHint")));
    const time = (name: "start" | "end", text: string): HTMLElement => {
      const input = make("input", {
        type: "time",
        required: true,
        value: quietHours[name],
        "data-testid": name,
        change: () => input.value && this.#change({ quietHours: { ...quietHours, timezone: zone, [name]: input.value } }),
      });
      return field(text, input);
    };
    const zones = make("select", {
      "data-testid": "timezone",
      change: () => this.#change({ quietHours: { ...quietHours, timezone: zones.value } }),
    });
    zones.append(...zonesWith(zone).map((name) => make("option", { value: name, selected: name === zone }, name)));
    const fields = make("div", { class: "fields" }, time("start", this.say("from")), time("end", this.say("to")), field(this.say("timezone"), zones));
    return section(null, toggle, make("p", { class: "hint" }, this.say("quietHint")), fields);
  }

  #digest({ digest }: Now): HTMLElement {
    const [how = "off", at = "08:00"] = typeof digest === "string" ? digest.split("@") : [];
    const choice = make("select", {
      "data-testid": "digest",
      change: () => this.#change({ digest: choice.value === "daily" ? `daily@${at}` : choice.value }),
    });
    choice.append(...["off", "hourly", "daily"].map((name) => make("option", { value: name, selected: name === how }, this.say(name))));
    const time = make("input", {
      type: "time",
      required: true,
      value: at,
      "data-testid": "digest-at",
      change: () => time.value && this.#change({ digest: `daily@${time.value}` }),
    });
    return make(
      "section",
      { part: "section" },
      make("div", { class: "fields" }, field(this.say("digest"), choice), how === "daily" ? field(this.say("at"), time) : null),
    );
  }
}

function section(title: string | null, ...content: HTMLElement[]): HTMLElement {
  return make("section", { part: "section" }, title ? make("h3", {}, title) : null, ...content);
}

function field(text: string, control: HTMLElement): HTMLElement {
  return make("label", { class: "field" }, text, control);
}

function merged(before: Now, change: Change): Now {
  const types = { ...before.types };
  for (const [type, channels] of Object.entries(change.types ?? {})) types[type] = { ...types[type], ...channels } as Record<string, boolean>;
  return { ...before, ...change, types } as Now;
}

function zonesWith(zone: string): string[] {
  const all = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : ["UTC"];
  return all.includes(zone) ? all : [zone, ...all];
}

function quoted(text: string): string {
  return text.replace(/["\\]/g, "\\$&");
}

define("hub-preferences", HubPreferences);

declare global {
  interface HTMLElementTagNameMap {
    "hub-preferences": HubPreferences;
  }
}
