/** The tenant at a glance: who is here, how much is sent, how fast it goes, what waits, and what happens now. */
import { clock, make, prepend, reason } from "../../dom";
import { Chart } from "../chart";
import { card, number, span, status, Table } from "../parts";
import type { Presence, Stats } from "../shapes";
import { fresh } from "./view";
import type { Desk, View } from "./view";

const REFRESH_MS = 5000;
const BUCKET_S = 5;
const WINDOW_S = 600;
/** Delays are taken over a window that moves. */
const DELAY_S = 60;
const FEED = 30;

export function overview({ session, client, say }: Desk): View {
  const tiles = new Map<string, HTMLElement>();
  /** A number, that leads to the view which says more. */
  const tile = (name: string, label: string, href?: string): HTMLElement => {
    const value = make("strong", { "data-testid": `tile-${name}` }, "–");
    tiles.set(name, value);
    const parts = [make("span", {}, label), value];
    return href ? make("a", { class: "tile", href }, ...parts) : make("div", { class: "tile" }, ...parts);
  };
  const put = (name: string, text: string): void => {
    const value = tiles.get(name);
    if (value && value.textContent !== text) value.textContent = text;
  };
  const rate = new Chart("Notifications per second", [
    { label: "per second", color: "--brand", show: (value) => value.toFixed(value < 10 ? 1 : 0) },
  ], 1);
  const delay = new Chart("Delivery latency", [
    { label: "p50", color: "--good", show: span },
    { label: "p99", color: "--warn", show: span },
  ], 10);
  const channels = new Table("channels", ["Channel", "Status", "Count"], "Nothing was sent in the last day.");
  const feed = make("ol", { class: "feed", "data-testid": "feed", tabindex: "0", "aria-label": "What happens now" });
  const quiet = make("p", { class: "empty" }, "Waiting for something to happen.");
  const happened = (row: HTMLElement): void => {
    quiet.hidden = true;
    prepend(feed, row, FEED);
  };
  /** Oldest first. */
  let delays: ReturnType<typeof delayOf>[] = [];
  let failing = false;

  async function look(): Promise<void> {
    const now = Date.now();
    const from = (seconds: number): string => encodeURIComponent(new Date(now - seconds * 1000).toISOString());
    try {
      const [online, day, recent, short, dead] = await Promise.all([
        session.get<Presence>("/admin/presence?limit=1"),
        session.get<Stats>("/admin/notifications/stats"),
        session.get<Stats>(`/admin/notifications/stats?from=${from(WINDOW_S)}&bucket=${BUCKET_S}s`),
        session.get<Stats>(`/admin/notifications/stats?from=${from(DELAY_S)}&bucket=1m`),
        session.page("/admin/deliveries?status=dead&limit=100"),
      ]);
      failing = false;
      put("online", number(online.totalOnline));
      put("connections", number(online.connections));
      put("notifications", number(day.notifications));
      put("p50", span(day.latencyMs.p50));
      put("p99", span(day.latencyMs.p99));
      put("queue", number(day.queue.depth));
      put("dead", dead.next ? "100+" : number(dead.rows.length));
      showRate(recent, now);
      if (delays.length === 0) delays = await earlier(now);
      delays = [...delays, delayOf(short, now)].filter(({ at }) => at > now / 1000 - WINDOW_S);
      const of = (pick: "p50" | "p99"): (number | null)[] => delays.map((one) => one[pick]);
      delay.set(delays.map((one) => one.at), of("p50"), of("p99"));
      const rows = Object.entries(day.byChannel).flatMap(([channel, counts]) =>
        Object.entries(counts).map(([word, count]) => ({ id: `${channel} ${word}`, cells: [channel, status(word), number(count)] })),
      );
      channels.fill(rows.filter(({ cells }) => cells[2] !== "0"));
    } catch (fault) {
      if (!failing) say(reason(fault), "warning");
      failing = true;
    }
  }

  /** The minutes before this page was opened. */
  function earlier(now: number): Promise<typeof delays> {
    const minutes = Array.from({ length: WINDOW_S / DELAY_S - 1 }, (_, at) => now - (WINDOW_S / DELAY_S - 1 - at) * DELAY_S * 1000);
    const iso = (at: number): string => encodeURIComponent(new Date(at).toISOString());
    return Promise.all(
      minutes.map(async (end) => {
        const path = `/admin/notifications/stats?from=${iso(end - DELAY_S * 1000)}&to=${iso(end)}&bucket=1m`;
        return delayOf(await session.get<Stats>(path), end);
      }),
    );
  }

  function showRate({ overTime }: Stats, now: number): void {
    const counted = new Map(overTime.map(({ at, notifications }) => [Date.parse(at) / 1000, notifications]));
    const last = Math.floor(now / 1000 / BUCKET_S) * BUCKET_S - BUCKET_S; // the present one is not full yet
    const times = Array.from({ length: WINDOW_S / BUCKET_S }, (_, at) => last - WINDOW_S + BUCKET_S * (at + 1));
    const values = times.map((time) => (counted.get(time) ?? 0) / BUCKET_S);
    rate.set(times, values);
    const minute = values.slice(-60 / BUCKET_S);
    put("rate", (minute.reduce((sum, value) => sum + value, 0) / minute.length).toFixed(1));
  }

  return {
    content: [
      make(
        "div",
        { class: "tiles" },
        tile("online", "People online", "#/people"),
        tile("connections", "Connections", "#/people"),
        tile("rate", "Per second, last minute"),
        tile("notifications", "Notifications, 24 h", "#/log"),
        tile("p50", "Latency p50, 24 h"),
        tile("p99", "Latency p99, 24 h"),
        tile("queue", "Waiting in the queue"),
        tile("dead", "Dead letters", "#/deliveries?status=dead"),
      ),
      make("div", { class: "two" }, card("Notifications per second", rate.root), card("Delivery latency", delay.root)),
      make("div", { class: "two" }, card("Deliveries of the last day", channels.root), card("Happening now", feed, quiet)),
    ],
    offs: [
      ...fresh(client, () => void look(), REFRESH_MS, "event", "delivery:update", "presence:join", "presence:leave"),
      ...live(client, happened),
      () => rate.remove(),
      () => delay.remove(),
    ],
  };
}

function delayOf({ latencyMs }: Stats, now: number): { at: number; p50: number | null; p99: number | null } {
  return { at: now / 1000, p50: latencyMs.p50, p99: latencyMs.p99 };
}

function live(client: Desk["client"], happened: (row: HTMLElement) => void): (() => void)[] {
  const line = (kind: Node, text: string, at: string): HTMLElement =>
    make("li", { "data-testid": "happened" }, kind, make("span", { class: "what" }, text), clock(at));
  const typed = (name: string): HTMLElement => make("code", {}, name);
  return [
    client.on("event", ({ type, title, createdAt }) => happened(line(typed(type), title ?? "", createdAt))),
    client.on("delivery:update", ({ channel, userId, status: word, error, at }) =>
      happened(line(status(word), `${channel} to ${userId}${error ? `: ${error}` : ""}`, at)),
    ),
    client.on("presence:join", ({ userId, at }) => happened(line(typed("joined"), userId ?? "somebody", at))),
    client.on("presence:leave", ({ userId, at }) => happened(line(typed("left"), userId ?? "somebody", at))),
  ];
}
