/** What the pages need beside the making of elements. */
import { make } from "../src/ui/dom";

export { make };

/** The element with this `data-testid`; its absence is a mistake in the page. */
export function find<E extends HTMLElement = HTMLElement>(name: string, within: ParentNode = document): E {
  const element = within.querySelector<E>(`[data-testid="${name}"]`);
  if (!element) throw new Error(`the page has no ${name}`);
  return element;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const CALENDAR = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A time of today, a date and time of another day, with all of it on hover. */
export function clock(iso: string): HTMLTimeElement {
  const date = new Date(iso);
  const today = date.toDateString() === new Date().toDateString();
  return make("time", { datetime: iso, title: date.toLocaleString() }, (today ? CLOCK : CALENDAR).format(date));
}

/** Puts `item` on top of a list and keeps the list bounded. */
export function prepend(list: HTMLElement, item: HTMLElement, most: number): void {
  list.prepend(item);
  while (list.children.length > most) list.lastElementChild?.remove();
}

/** What went wrong, for people. */
export function reason(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}
