/** The rules of one type: what is in force and who says it, what the tenant says in place of it, and taking that back. */
import { clock, make, reason } from "../../dom";
import { button, card, form, Table } from "../parts";
import { NAMES, RULES } from "../rules";
import type { Name } from "../rules";
import type { TypeRow } from "../shapes";
import type { Desk, View } from "./view";

const WHO = { hub: "the hub", file: "the operator's file", tenant: "you" };
const OWN = "own";

export function editor({ session, say }: Desk, type: string): View {
  const path = `/admin/types/${encodeURIComponent(type)}`;
  const name = make("h3", { class: "subject", tabindex: "-1", "data-testid": "type" }, type);
  const known = make("p", { class: "meta" });
  const table = new Table("in-force", ["Rule", "In force", "Said by"], "The hub does not say.");
  const since = make("p", { class: "hint", "data-testid": "since" });
  const controls = make("div");
  const back = button("Back to the hub's own", () => void reset(), { "data-testid": "reset", hidden: "" });
  const written = (): string => JSON.stringify(said(controls));
  let inForce = written();

  function show(row: TypeRow): void {
    name.textContent = row.type;
    known.textContent = describe(row);
    controls.replaceChildren(...NAMES.map((rule) => group(rule, row)));
    table.fill(NAMES.map((rule) => ({ id: rule, cells: [RULES[rule].label, RULES[rule].words(row.rules), whose(row, rule)] })));
    since.replaceChildren(...(row.updatedAt ? [`Yours were put in force by ${row.updatedBy ?? "somebody"}, `, clock(row.updatedAt), "."] : []));
    back.hidden = !row.overridden;
    inForce = written();
  }

  const take = async (): Promise<void> => show(await session.get<TypeRow>(path));

  async function takeBack(): Promise<void> {
    await session.send("DELETE", path);
    await take();
  }

  async function reset(): Promise<void> {
    if (!confirm(`Put the hub's own rules for ${type} in force again? Yours are gone then.`)) return;
    try {
      await takeBack();
      name.focus(); // the button is gone
      say("The hub's own rules are in force again.", "success");
    } catch (fault) {
      say(reason(fault), "error");
    }
  }

  const edit = form("rules", [controls], "Put in force", async (_, element) => {
    const own = said(element);
    const some = Object.keys(own).length > 0;
    if (some) show(await session.send<TypeRow>("PUT", path, own));
    else if (!back.hidden) await takeBack();
    return `${some ? "In force" : "The hub's own rules are in force"}, within two seconds in every process.`;
  });
  edit.noValidate = true; // the hub judges, and says it beside the field
  edit.querySelector(".submit")?.append(back);
  const two = make("div", { class: "two" }, card("What you say", edit), card("In force now", table.root, since));
  take().catch((fault: unknown) => {
    two.replaceWith(make("p", { class: "notice", role: "alert" }, reason(fault)));
  });
  queueMicrotask(() => name.focus());
  return {
    content: [
      make("div", { class: "card" }, make("a", { href: "#/types" }, "All types"), name, known),
      two,
    ],
    unsaved: () => controls.isConnected && written() !== inForce,
  };
}

function describe({ wire, type, aliases, registered }: TypeRow): string {
  if (!registered) return "A name of your own: the hub has no rules for it.";
  return [wire === type ? "" : `Sent as ${wire}.`, aliases.length > 0 ? `Also accepted: ${aliases.join(", ")}.` : ""].join(" ");
}

function whose({ sources }: TypeRow, rule: Name): HTMLElement {
  const who = sources[rule];
  return make("span", { class: "tag", "data-who": who }, WHO[who]);
}

/** One rule: as the hub says, another of its choices, or what is filled in. */
function group(rule: Name, row: TypeRow): HTMLElement {
  const { label, about, words, choices, own } = RULES[rule];
  const held = row.override && rule in row.override ? JSON.stringify(row.rules[rule]) : null;
  const choice = Object.keys(choices).find((text) => JSON.stringify(choices[text]) === held);
  const chosen = held === null ? "" : (choice ?? OWN);
  const options: [string, string][] = [["", `As the hub says: ${words(row.default)}`], ...Object.keys(choices).map((text): [string, string] => [text, text])];
  if (own) options.push([OWN, "Other"]);
  const select = make("select", { name: `${rule}.by`, "data-testid": `${rule}.by`, "aria-label": label }, ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  const filled = make("div", { class: "filled" }, ...(own?.controls(row.rules) ?? []));
  const look = (): void => void (filled.hidden = select.value !== OWN);
  select.addEventListener("change", look);
  look();
  return make("fieldset", { class: "rule", "data-field": rule }, make("legend", {}, make("b", {}, label), ` ${about}`), select, filled);
}

/** All that the tenant says, as the controls have it. */
function said(element: HTMLElement): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const rule of NAMES) {
    const by = element.querySelector<HTMLSelectElement>(`[name="${rule}.by"]`)?.value;
    if (by) found[rule] = by === OWN ? RULES[rule].own?.read(element) : RULES[rule].choices[by];
  }
  return found;
}
