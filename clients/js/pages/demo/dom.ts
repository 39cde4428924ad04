/** Making and finding elements. Text goes in as text, never as HTML: what it shows comes from other people. */

type Attributes = Record<string, string | boolean | ((event: Event) => void)>;

/** An element; functions become listeners, `false` leaves an attribute away. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string | null)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** The page's element with this `data-testid`; its absence is a mistake in the page. */
export function find<E extends HTMLElement = HTMLElement>(name: string): E {
  const element = document.querySelector<E>(`[data-testid="${name}"]`);
  if (!element) throw new Error(`the page has no ${name}`);
  return element;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** A time of day, with the whole date on hover. */
export function clock(iso: string): HTMLTimeElement {
  const date = new Date(iso);
  return make("time", { datetime: iso, title: date.toLocaleString() }, CLOCK.format(date));
}

/** Puts `item` on top of a list, shows the list instead of its empty text, and keeps the list bounded. */
export function prepend(list: HTMLElement, item: HTMLElement, most: number): void {
  list.prepend(item);
  while (list.children.length > most) list.lastElementChild?.remove();
}
