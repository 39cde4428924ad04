/** Making elements. Text goes in as text, never as HTML, and links lead to http(s) only: other people wrote both. */

type Attributes = Record<string, string | boolean | ((event: never) => void)>;

/** An element; functions become listeners, `false` leaves an attribute away. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as (event: Event) => void);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A drawing of lines, from the data of one path; nothing that a screen reader should say. */
export function drawing(path: string, size = 20): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": true, class: "drawing" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, String(value));
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** The address a link may lead to: http, https, or relative to the page. Null for anything else. */
export function safeLink(link: string | null | undefined): string | null {
  if (!link) return null;
  try {
    const { protocol, href } = new URL(link, document.baseURI);
    return protocol === "http:" || protocol === "https:" ? href : null;
  } catch {
    return null;
  }
}

type Shown<Item> = Map<string, { item: Item; element: HTMLElement }>;

/**
 * Makes `list` show `items` in their order. An element is made once for each id and only moved afterwards, so
 * that focus and scroll stay; `update` is called when the item is another object than last time.
 */
export class Rows<Item extends { id: string }> {
  readonly #list: HTMLElement;
  readonly #make: (item: Item) => HTMLElement;
  readonly #update: (element: HTMLElement, item: Item) => void;
  #shown: Shown<Item> = new Map();

  constructor(
    list: HTMLElement,
    make: (item: Item) => HTMLElement,
    update: (element: HTMLElement, item: Item) => void,
  ) {
    this.#list = list;
    this.#make = make;
    this.#update = update;
  }

  show(items: readonly Item[]): void {
    const shown: Shown<Item> = new Map();
    for (const item of items) {
      const known = this.#shown.get(item.id);
      const element = known?.element ?? this.#make(item);
      if (known?.item !== item) this.#update(element, item);
      shown.set(item.id, { item, element });
    }
    for (const [id, { element }] of this.#shown) if (!shown.has(id)) element.remove();
    this.#shown = shown;
    let next = this.#list.firstChild;
    for (const { element } of shown.values()) {
      if (element === next) next = next.nextSibling;
      else this.#list.insertBefore(element, next);
    }
  }
}
