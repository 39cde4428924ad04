/** What the views are made of: cards, tables, meters, forms that say how it went. Text only, never markup. */
import { clock, make, reason } from "../dom";
import { forget, show } from "./faults";

export type Cell = Node | string | null;

export function card(title: string, ...content: (Node | null)[]): HTMLElement {
  return make("section", { class: "card", "aria-label": title }, make("header", {}, make("h2", {}, title)), ...content);
}

/** A table that becomes a list of cards on a narrow screen. `rows` are put in by `fill`; until then nobody knows whether there are any. */
export class Table {
  readonly root: HTMLElement;
  readonly #body = make("tbody");
  readonly #heads: string[];
  readonly #empty = make("p", { class: "empty" }, "Asking the hub.");
  readonly #none: string;
  readonly #scroll: HTMLElement;

  constructor(name: string, heads: string[], empty: string) {
    this.#heads = heads;
    this.#none = empty;
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text || make("span", { class: "unseen" }, "Actions"))));
    const table = make("table", { "data-testid": name }, make("thead", {}, head), this.#body);
    this.#scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table: ${name}`, hidden: true }, table);
    this.root = make("div", {}, this.#scroll, this.#empty);
  }

  fill(rows: { id: string; cells: Cell[] }[]): void {
    this.#body.replaceChildren(...rows.map(({ id, cells }) => this.#row(id, cells)));
    this.#look();
  }

  add(rows: { id: string; cells: Cell[] }[]): void {
    this.#body.append(...rows.map(({ id, cells }) => this.#row(id, cells)));
    this.#look();
  }

  /** Puts a row in the place of the one with its id, or on top. */
  put(id: string, cells: Cell[], most: number): void {
    const row = this.#row(id, cells);
    const known = this.#body.querySelector(`[data-id="${CSS.escape(id)}"]`);
    if (known) known.replaceWith(row);
    else this.#body.prepend(row);
    while (this.#body.children.length > most) this.#body.lastElementChild?.remove();
    this.#look();
  }

  #look(): void {
    const none = this.#body.children.length === 0;
    this.#empty.textContent = this.#none;
    this.#empty.hidden = !none;
    this.#scroll.hidden = none;
  }

  #row(id: string, cells: Cell[]): HTMLElement {
    const shown = cells.map((cell, at) => make("td", { "data-head": this.#heads[at] ?? "" }, cell ?? ""));
    return make("tr", { "data-id": id }, ...shown);
  }
}

export function status(word: string): HTMLElement {
  return make("span", { class: "status", "data-status": word, "data-testid": "status" }, word);
}

export function tags(words: string[]): HTMLElement {
  return make("span", { class: "tags" }, ...words.map((word) => make("span", { class: "tag" }, word)));
}

/** Counts by name as bars, the largest first. */
export function meters(counts: Record<string, number>, empty: string): HTMLElement {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return make("p", { class: "empty" }, empty);
  const most = entries[0]?.[1] ?? 1;
  const rows = entries.map(([name, count]) => {
    const bar = make("i", { class: "fill" });
    bar.style.width = `${(100 * count) / Math.max(1, most)}%`;
    return make("li", { "data-name": name }, make("span", { class: "meter-name" }, name), make("b", {}, number(count)), make("span", { class: "track", "aria-hidden": "true" }, bar));
  });
  return make("ul", { class: "meters" }, ...rows);
}

export function button(text: string, does: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  return make("button", { type: "button", class: "small", ...attributes, click: does }, text);
}

interface Field {
  name: string;
  label: string;
  value?: string;
  /** Values, or values with what is shown for them. */
  options?: (string | [value: string, words: string])[];
  lines?: number;
  hint?: string;
  required?: boolean;
  type?: string;
}

export function field({ name, label, value = "", options, lines, hint, required, type }: Field): HTMLElement {
  const same = { name, "data-testid": name, required: Boolean(required), ...(hint && { placeholder: hint }) };
  let control: HTMLElement;
  if (options) {
    const pairs = options.map((option) => (typeof option === "string" ? [option, option || "any"] : option) as [string, string]);
    const choices = pairs.map(([option, words]) => make("option", { value: option, selected: option === value }, words));
    control = make("select", same, ...choices);
  } else if (lines) control = make("textarea", { ...same, rows: String(lines), spellcheck: "false" }, value);
  else control = make("input", { ...same, type: type ?? "text", value, autocomplete: "off" });
  return make("label", { class: "field" }, make("span", {}, label), control);
}

/**
 * A form whose button waits for the answer, and a line that says what it was. `does` gives that line; what the hub says of
 * one field stands beside it.
 */
export function form(
  name: string,
  fields: (Node | null)[],
  submit: string,
  does: (values: FormData, form: HTMLFormElement) => Promise<string>,
): HTMLFormElement {
  const said = make("p", { class: "hint said", role: "status", "data-testid": `${name}-answer` });
  const go = make("button", { class: "primary", "data-testid": `${name}-submit` }, submit);
  const element = make("form", { class: "form", "data-testid": name }, ...fields, make("div", { class: "submit" }, go, said));
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    go.disabled = true;
    said.classList.remove("bad");
    forget(element);
    does(new FormData(element), element)
      .then(
        (text) => void (said.textContent = text),
        (fault: unknown) => {
          said.classList.add("bad");
          said.textContent = show(element, fault) ?? reason(fault);
        },
      )
      .finally(() => void (go.disabled = false));
  });
  return element;
}

export function when(iso: string | null): Node {
  return iso ? clock(iso) : document.createTextNode("");
}

const COUNT = new Intl.NumberFormat();

export function number(value: number): string {
  return COUNT.format(value);
}

/** 12 ms, 3.4 s. */
export function span(milliseconds: number | null): string {
  if (milliseconds === null) return "–";
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
