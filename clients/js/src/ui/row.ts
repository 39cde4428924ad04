/** One notification as a row: what happened, when, whether it was read. Reports what is asked of it; changes nothing. */
import type { Notification } from "../protocol";
import { drawing, make, safeLink } from "./dom";
import { iconOf } from "./icons";
import { ago, moment } from "./times";

export interface RowTools {
  say(key: string): string;
  lang: string;
  icons: Record<string, string>;
  now: number;
  /** Opened with the mouse or the keyboard; its default follows the link. */
  open(event: MouseEvent, id: string): void;
  toggle(id: string): void;
}

/** Empty, for `updateRow`. A link where the notification has one, so that the browser's own ways to open it work. */
export function makeRow(item: Notification, tools: RowTools): HTMLElement {
  const link = safeLink(item.link);
  const open = (event: MouseEvent): void => tools.open(event, item.id);
  const attributes = { class: "main", part: "item-link", tabindex: "-1", click: open };
  const main = link
    ? make("a", { ...attributes, href: link, rel: "noopener" })
    : make("button", { ...attributes, type: "button" });
  main.append(
    make("span", { class: "icon", part: "icon" }, drawing(iconOf(item.type, tools.icons), 18)),
    make(
      "span",
      { class: "what" },
      make("span", { class: "unseen state" }),
      make("span", { class: "name", part: "item-title" }),
      make("span", { class: "text", part: "item-message" }),
      make("time", { class: "when", part: "time" }),
    ),
  );
  const toggle = make(
    "button",
    { type: "button", class: "act", part: "toggle", "data-testid": "toggle-read", click: () => tools.toggle(item.id) },
    make("span", { class: "dot" }),
  );
  return make(
    "li",
    { class: "row", part: "item", "data-testid": "notification", "data-id": item.id },
    main,
    make("div", { class: "acts" }, toggle),
  );
}

export function updateRow(row: HTMLElement, item: Notification, tools: RowTools): void {
  row.classList.toggle("unread", !item.read);
  row.setAttribute("part", item.read ? "item" : "item unread");
  row.dataset.severity = item.severity;
  put(row, ".state", item.read ? "" : `${tools.say("unread")}. `);
  put(row, ".name", item.title ?? item.type);
  put(row, ".text", item.message ?? "");
  const text = row.querySelector<HTMLElement>(".text");
  if (text) text.hidden = !item.message;
  const toggle = row.querySelector(".act");
  const does = tools.say(item.read ? "markUnread" : "markRead");
  toggle?.setAttribute("title", does);
  toggle?.setAttribute("aria-label", `${does}: ${item.title ?? item.type}`);
  const when = row.querySelector<HTMLTimeElement>(".when");
  if (when) {
    when.dateTime = item.createdAt;
    when.title = moment(item.createdAt, tools.lang);
  }
  showAge(row, tools);
}

/** How long ago, by `tools.now`. */
export function showAge(row: HTMLElement, tools: RowTools): void {
  const when = row.querySelector<HTMLTimeElement>(".when");
  if (when) put(row, ".when", ago(when.dateTime, tools.now, tools.lang));
}

function put(row: HTMLElement, place: string, text: string): void {
  const element = row.querySelector(place);
  if (element && element.textContent !== text) element.textContent = text;
}
