/** The words of messages by type, channel and language: what is in force, changed, and looked at before it is. */
import { make, reason } from "../../dom";
import { button, card, form } from "../parts";
import { query } from "../session";
import type { Preview, Template, TemplateRow } from "../shapes";
import { mayLeave } from "./view";
import type { Desk, View } from "./view";

const SETTLED_MS = 500;

export function templates({ session, say }: Desk): View {
  const [types, channels, locales] = ["type", "channel", "locale"].map((name) => make("select", { name, "data-testid": `template-${name}` })) as [HTMLSelectElement, HTMLSelectElement, HTMLSelectElement];
  const source = make("textarea", { name: "source", rows: "18", spellcheck: "false", "data-testid": "source", "aria-label": "Source" });
  const mark = make("span", { class: "tag", "data-testid": "overridden" });
  const preview = make("div", { class: "preview", "data-testid": "preview" });
  const back = button("Back to the hub's own", () => void reset(), { "data-testid": "reset" });
  const choices = [types, channels, locales];
  let rows: TemplateRow[] = [];
  /** What is in force where, as the editor shows it. */
  let [inForce, where] = ["", [] as string[]];
  let asked = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const path = (): string => `/admin/templates/${encodeURIComponent(types.value)}/${encodeURIComponent(channels.value)}`;
  const locale = (): Record<string, string> => (locales.value ? { locale: locales.value } : {});
  const fill = (select: HTMLSelectElement, values: string[], words: (value: string) => string = (value) => value): void => {
    const before = select.value;
    select.replaceChildren(...values.map((value) => make("option", { value }, words(value))));
    if (values.includes(before)) select.value = before;
  };

  async function list(): Promise<void> {
    rows = await session.get<TemplateRow[]>("/admin/templates");
    fill(types, [...new Set(rows.map((row) => row.type))]);
    chosen();
    await open();
  }

  /** What there is to choose, after a choice. */
  function chosen(): void {
    const ofType = rows.filter((row) => row.type === types.value);
    fill(channels, ofType.map((row) => row.channel));
    const row = ofType.find((one) => one.channel === channels.value);
    const known = [...(row?.locales ?? []), ...(row?.overrides ?? []).map((one) => one.locale ?? "")];
    fill(locales, ["", ...new Set(known.filter(Boolean))], (value) => value || "every language");
  }

  /** Nobody types into words that are about to be replaced. */
  async function open(): Promise<void> {
    const mine = ++asked;
    clearTimeout(timer);
    source.disabled = true;
    const template = await session.get<Template>(path() + query(locale()));
    if (mine !== asked) return;
    source.disabled = false;
    source.value = template.source;
    inForce = source.value;
    where = choices.map((select) => select.value);
    mark.textContent = template.overridden ? "your own" : "the hub's own";
    back.hidden = !template.overridden;
    await look();
  }

  async function look(): Promise<void> {
    const mine = ++asked;
    const wanted = { type: types.value, channel: channels.value, ...locale(), source: source.value };
    const shown = await session.send<Preview>("POST", "/admin/templates/preview", wanted).then(pictured, (fault: unknown) => make("p", { class: "notice", role: "alert" }, reason(fault)));
    if (mine === asked) preview.replaceChildren(shown);
  }

  async function reset(): Promise<void> {
    if (!confirm("Put the hub's own words in force again? Yours are gone then.")) return;
    try {
      await session.send("DELETE", path() + query(locale()));
      await list();
      say("The hub's own words are in force again.", "success");
    } catch (fault) {
      say(reason(fault), "error");
    }
  }

  const unsaved = (): boolean => !source.disabled && source.value !== inForce;
  const tried = (doing: Promise<void>): void => void doing.catch((fault: unknown) => say(reason(fault), "error"));
  for (const select of choices) {
    select.addEventListener("change", () => {
      if (!mayLeave(unsaved())) return choices.forEach((one, at) => void (one.value = where[at] ?? ""));
      chosen();
      tried(open());
    });
  }
  source.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => void look(), SETTLED_MS);
  });
  tried(list());

  const labelled = (text: string, select: HTMLElement): HTMLElement => make("label", { class: "field" }, make("span", {}, text), select);
  const editor = form("template", [source], "Put in force", async () => {
    const { warnings = [] } = await session.send<Template>("PUT", path(), { source: source.value, ...locale() });
    await list();
    return warnings.length > 0 ? `In force. ${warnings.join(" ")}` : "In force, within two seconds in every process.";
  });
  editor.querySelector(".submit")?.append(back);
  return {
    content: [
      make("div", { class: "card filters" }, labelled("Type", types), labelled("Channel", channels), labelled("Language of the reader", locales)),
      make("div", { class: "two" }, card("Source", mark, editor), card("Preview", preview)),
    ],
    offs: [() => clearTimeout(timer)],
    unsaved,
  };
}

/** What a reader would get, about the sample of the type. Its HTML is in a frame that may run and reach nothing. */
function pictured({ subject, title, text, message, html, embed }: Preview): HTMLElement {
  const heading = subject ?? title;
  const frame = html ? make("iframe", { sandbox: "", title: "The message", srcdoc: html, "data-testid": "preview-html" }) : null;
  const words = text ?? message;
  return make(
    "div",
    {},
    heading ? make("h3", { class: "subject", "data-testid": "preview-subject" }, heading) : null,
    frame,
    !frame && words ? make("pre", {}, words) : null,
    embed ? make("pre", {}, JSON.stringify(embed, null, 2)) : null,
  );
}
