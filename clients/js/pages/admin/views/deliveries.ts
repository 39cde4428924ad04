/** Deliveries as they stand, live; those that were given up, and trying them again; the whole story of one. */
import { clock, make, reason } from "../../dom";
import type { Cell } from "../parts";
import { button, card, field, status, Table } from "../parts";
import { query } from "../session";
import type { Rows } from "../session";
import type { Delivery, Step } from "../shapes";
import { fresh } from "./view";
import type { Desk, View } from "./view";

const MOST = 200;
const STATUSES = ["", "dead", "retrying", "planned", "queued", "sending", "sent", "delivered", "opened", "skipped", "cancelled", "unknown"];
const CHANNELS = ["", "email", "sms", "discord", "webpush"];

export function deliveries(desk: Desk): View {
  const { session, client, say } = desk;
  const table = new Table("deliveries", ["Status", "Channel", "To", "Tries", "Provider, or why", "Changed", ""], "No such deliveries.");
  const filters = make(
    "form",
    { class: "filters", role: "search", "data-testid": "filters" },
    field({ name: "status", label: "Status", options: STATUSES, value: new URLSearchParams(location.hash.split("?")[1]).get("status") ?? "" }),
    field({ name: "channel", label: "Channel", options: CHANNELS }),
    field({ name: "userId", label: "Person", hint: "id" }),
  );
  const older = button("Older ones", () => void more(), { "data-testid": "older" });
  const all = button("Retry all that are dead here", () => void retryAll(), { "data-testid": "retry-all" });
  let next: string | null = null;
  let shown: Delivery[] = [];
  let asked = 0;

  const wanted = (): Record<string, FormDataEntryValue> => Object.fromEntries(new FormData(filters));

  async function retry(id: string): Promise<void> {
    const delivery = await session.send<Delivery>("POST", `/admin/deliveries/${id}/retry`);
    table.put(id, cells(delivery), MOST);
  }

  async function retryAll(): Promise<void> {
    const dead = shown.filter((one) => one.status === "dead");
    all.disabled = true;
    const done = await Promise.allSettled(dead.map(({ id }) => retry(id)));
    all.disabled = false;
    const good = done.filter((one) => one.status === "fulfilled").length;
    say(`${good} of ${dead.length} are tried again.`, good === dead.length ? "success" : "warning");
  }

  function cells(one: Delivery): Cell[] {
    const again = button("Retry", () => void retry(one.id).catch((fault: unknown) => say(reason(fault), "error")), {
      class: "small primary",
      "data-testid": "retry",
    });
    return [
      status(one.status),
      one.channel,
      one.userId,
      String(one.attempts),
      make("span", { class: "why" }, one.error ?? one.reason ?? one.provider ?? ""),
      clock(one.at),
      make(
        "span",
        { class: "acts" },
        button("Timeline", () => void story(desk, one.notificationId, one.userId), { "data-testid": "timeline", "aria-label": `Timeline: ${one.channel} to ${one.userId}` }),
        one.status === "dead" ? again : null,
      ),
    ];
  }

  function took({ rows, next: following }: Rows<Delivery>): void {
    next = following;
    older.hidden = !next;
    all.hidden = !shown.some((one) => one.status === "dead");
    if (rows === shown) table.fill(rows.map((one) => ({ id: one.id, cells: cells(one) })));
  }

  async function look(): Promise<void> {
    const mine = ++asked;
    try {
      const page = await session.page<Delivery>(`/admin/deliveries${query({ ...wanted(), limit: "50" })}`);
      if (mine !== asked) return;
      shown = page.rows;
      took(page);
    } catch (fault) {
      say(reason(fault), "warning");
    }
  }

  async function more(): Promise<void> {
    if (!next) return;
    const page = await session.page<Delivery>(next);
    shown = [...shown, ...page.rows];
    table.add(page.rows.map((one) => ({ id: one.id, cells: cells(one) })));
    took(page);
  }

  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("change", () => void look());
  return {
    content: [card("Deliveries", filters, make("div", { class: "row" }, all), table.root, older)],
    offs: fresh(client, () => void (shown.length <= 50 && look()), 15_000, "delivery:update"),
  };
}

/** Every step of one person's deliveries of a notification, at the side. */
export async function story({ session, aside, say }: Desk, notification: string, userId: string): Promise<void> {
  try {
    const steps = await session.get<Step[]>(`/admin/notifications/${notification}/timeline${query({ userId })}`);
    const rows = steps.map((step) =>
      make(
        "li",
        { "data-testid": "step" },
        make("div", { class: "line" }, status(step.step), make("b", {}, step.channel), clock(step.at)),
        make("p", { class: "meta" }, told(step)),
      ),
    );
    aside(`To ${userId}`, make("div", {}, make("p", { class: "meta" }, make("code", {}, notification)), make("ol", { class: "story" }, ...rows)));
  } catch (fault) {
    say(reason(fault), "error");
  }
}

function told({ attempt, provider, outcome, durationMs, detail, dueAt }: Step): string {
  const parts = [
    attempt ? `attempt ${attempt}` : null,
    provider,
    outcome,
    durationMs === null ? null : `${Math.round(durationMs)} ms`,
    detail,
    dueAt ? `goes on at ${new Date(dueAt).toLocaleTimeString()}` : null,
  ];
  return parts.filter(Boolean).join(" · ");
}
