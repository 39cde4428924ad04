/** Event types and the rules that hold for them: all of them in a table, and one with what the tenant says of it. */
import { make, reason } from "../../dom";
import { card, field, form, Table, tags } from "../parts";
import type { Cell } from "../parts";
import { NAMES, RULES } from "../rules";
import { query } from "../session";
import type { Rules, TypeRow } from "../shapes";
import { editor } from "./rules";
import type { Desk, View } from "./view";

export function types(desk: Desk): View {
  const chosen = new URLSearchParams(location.hash.split("?")[1]).get("type");
  return chosen ? editor(desk, chosen) : all(desk);
}

function all({ session, say }: Desk): View {
  const table = new Table("types", ["Type", "Channels", "Severity", "Other rules", "Changed by"], "No such types.");
  const filters = make(
    "form",
    { class: "filters", role: "search", "data-testid": "filters" },
    field({ name: "find", label: "Name or alias", hint: "booking" }),
    field({ name: "by", label: "Changed by", options: ["", "you", "the operator"] }),
  );
  let rows: TypeRow[] = [];

  function show(): void {
    const wanted = new FormData(filters);
    const part = String(wanted.get("find")).trim().toLowerCase();
    const by = { you: "tenant", "the operator": "file" }[String(wanted.get("by"))];
    const found = rows
      .filter((row) => [row.type, row.wire, ...row.aliases].some((name) => name.toLowerCase().includes(part)))
      .filter(({ sources }) => !by || Object.values(sources).some((who) => who === by));
    table.fill(found.map((row) => ({ id: row.type, cells: cells(row) })));
  }

  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("input", show);
  session.get<TypeRow[]>("/admin/types").then(
    (found) => {
      rows = found;
      show();
    },
    (fault: unknown) => say(reason(fault), "error"),
  );
  const own = form("new-type", [field({ name: "type", label: "A name of your own", hint: "room.cleaned", required: true })], "Open its rules", (values) => {
    location.hash = address(String(values.get("type")).trim());
    return Promise.resolve("");
  });
  return { content: [card("Types", filters, table.root), card("Another type", own)] };
}

const address = (type: string): string => `#/types${query({ type })}`;
const BY = { tenant: "you", file: "the operator" };

function cells({ type, rules, sources }: TypeRow): Cell[] {
  const changed = Object.entries(BY).map(([who, words]) => {
    const names = NAMES.filter((name) => sources[name] === who).map((name) => RULES[name].label.toLowerCase());
    return names.length > 0 ? make("span", { class: "tag" }, `${words}: ${names.join(", ")}`) : null;
  });
  return [
    make("a", { href: address(type) }, type),
    tags(rules.channels),
    rules.severity,
    others(rules),
    changed.some(Boolean) ? make("span", { class: "acts" }, ...changed) : null,
  ];
}

/** The rules that most types have not, in words. */
function others(rules: Rules): Cell {
  const some = {
    mutable: !rules.mutable,
    ttlDays: rules.ttlDays !== null,
    digest: rules.digest !== null,
    throttle: rules.throttle !== null,
    escalate: Object.keys(rules.escalate).length > 0,
  };
  const names = NAMES.filter((name) => name in some && some[name as keyof typeof some]);
  const words = names.map((name) => (name === "mutable" ? "" : `${RULES[name].label.toLowerCase()}: `) + RULES[name].words(rules));
  return words.length > 0 ? make("span", { class: "why" }, words.join("; ")) : null;
}
