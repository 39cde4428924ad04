/** The log of what was sent to whom: searched, paged, and as a file of CSV. */
import { clock, make, reason } from "../../dom";
import { button, card, field, status, Table } from "../parts";
import type { Cell } from "../parts";
import { query } from "../session";
import type { LogRow } from "../shapes";
import type { Desk, View } from "./view";

const PATH = "/admin/notifications/logs";
const CHANNELS = ["", "inApp", "email", "sms", "discord", "webpush"];
const STATUSES = ["", "sent", "delivered", "opened", "retrying", "dead", "skipped", "cancelled", "planned", "queued", "sending", "unknown"];

export function log({ session, say, aside }: Desk): View {
  const table = new Table("log", ["When", "Type", "To", "Channel", "Outcome", "Data"], "Nothing matches.");
  const filters = make(
    "form",
    { class: "filters", role: "search", "data-testid": "filters" },
    field({ name: "type", label: "Type", hint: "booking.created" }),
    field({ name: "userId", label: "Person", hint: "id" }),
    field({ name: "channel", label: "Channel", options: CHANNELS }),
    field({ name: "status", label: "Status", options: STATUSES }),
    field({ name: "from", label: "From", type: "datetime-local" }),
    field({ name: "to", label: "To", type: "datetime-local" }),
    make("div", { class: "submit" }, make("button", { class: "primary", "data-testid": "search" }, "Search"), button("As CSV", () => void csv())),
  );
  const older = button("Older ones", () => void show(next, true), { "data-testid": "older" });
  let next: string | null = null;

  function wanted(): string {
    const values = Object.fromEntries(new FormData(filters));
    for (const name of ["from", "to"]) if (values[name]) values[name] = new Date(String(values[name])).toISOString();
    return query({ ...values, limit: "50" });
  }

  async function show(path: string | null, more: boolean): Promise<void> {
    if (!path) return;
    try {
      const page = await session.page<LogRow>(path);
      const rows = page.rows.map((row) => ({ id: row.id, cells: cells(row, () => aside(row.event, make("pre", { class: "whole" }, JSON.stringify(row.payload, null, 2)))) }));
      if (more) table.add(rows);
      else table.fill(rows);
      next = page.next;
      older.hidden = !next;
    } catch (fault) {
      say(reason(fault), "error");
    }
  }

  async function csv(): Promise<void> {
    try {
      const answer = await session.ask("GET", `${PATH}${wanted().replace("limit=50", "format=csv")}`);
      const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: "notifications.csv" });
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (fault) {
      say(reason(fault), "error");
    }
  }

  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    void show(PATH + wanted(), false);
  });
  void show(PATH + wanted(), false);
  return { content: [card("Log", filters, table.root, older)] };
}

function cells(row: LogRow, whole: () => void): Cell[] {
  return [
    clock(row.created_at),
    make("code", {}, row.event),
    row.user_id ?? "a room",
    row.channel,
    row.error ? make("span", { class: "why" }, row.error) : status(row.delivered ? "delivered" : "waiting"),
    make("button", { type: "button", class: "peek", click: whole }, make("code", { class: "data" }, JSON.stringify(row.payload))),
  ];
}
