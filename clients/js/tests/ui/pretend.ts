/** A hub as far as an element can tell: its REST and its stream behind `fetch`, so that the client is the real one. */
import { vi } from "vitest";
import { HubClient } from "../../src/client";
import type { Notification } from "../../src/protocol";
import { connected, notification } from "../samples";

export class PretendHub {
  /** Newest first. */
  inbox: Notification[] = [];
  preferences: Record<string, unknown> = { inApp: true, email: true, sms: false, discord: true, webpush: true, types: {}, quietHours: null, digest: null, locale: null };
  /** What was asked for: `PATCH /notifications/n1/read`. */
  asked: string[] = [];
  /** Answers by the beginning of what is asked; a status alone is a refusal. */
  answers: Record<string, unknown> = {};
  /** Where streams are. */
  paths = new Set(["/notifications/sse"]);
  #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();

  constructor(...inbox: Notification[]) {
    this.inbox = inbox;
    vi.stubGlobal("fetch", (input: string | URL | Request, init?: RequestInit) => this.#fetch(String(input), init));
  }

  /** How many are open. */
  get streams(): number {
    return this.#streams.size;
  }

  get unread(): number {
    return this.inbox.filter((item) => !item.read).length;
  }

  /** A client that is online, with the inbox loaded. */
  async client(): Promise<HubClient> {
    const client = new HubClient({ url: "http://hub.test", getToken: () => "t", transport: "sse", share: false });
    client.connect();
    await vi.waitFor(() => {
      if (client.connection.status !== "online" || client.inbox.notifications.length !== Math.min(50, this.inbox.filter((item) => !item.archivedAt).length)) {
        throw new Error("not yet");
      }
    });
    return client;
  }

  /** A new notification, live. */
  async arrives(item: Notification): Promise<void> {
    this.inbox = [item, ...this.inbox];
    await this.says(item.type, item, item.cursor);
  }

  async says(event: string, data: unknown, id?: string | null): Promise<void> {
    const text = `${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const stream of this.#streams) stream.enqueue(new TextEncoder().encode(text));
    await settled();
  }

  cut(): void {
    for (const stream of this.#streams) stream.error(new Error("cut"));
    this.#streams.clear();
  }

  async #fetch(address: string, init: RequestInit = {}): Promise<Response> {
    const { pathname, search } = new URL(address);
    const what = `${init.method ?? "GET"} ${pathname}${search}`;
    if (this.paths.has(pathname)) return this.#stream(init.signal);
    this.asked.push(init.body ? `${what} ${String(init.body)}` : what);
    const known = Object.keys(this.answers).find((start) => what.startsWith(start));
    const answer = known === undefined ? this.#rest(what, init.body ? JSON.parse(String(init.body)) : null) : this.answers[known];
    if (typeof answer === "number") {
      const problem = { detail: "refused here", code: "refused_here" };
      return Response.json(problem, { status: answer });
    }
    const headers = { "X-Total-Count": String(this.inbox.length), "X-Unread-Count": String(this.unread) };
    if (pathname !== "/notifications" || !Array.isArray(answer)) return Response.json(answer, { headers });
    const asked = new URLSearchParams(search);
    const [from, limit] = [Number(asked.get("offset") ?? 0), Number(asked.get("limit") ?? 20)];
    const chosen = (answer as Notification[]).filter(
      (item) =>
        (asked.get("archived") !== "true" ? !item.archivedAt : item.archivedAt) &&
        (!asked.has("read") || String(item.read) === asked.get("read")) &&
        (!asked.has("type") || item.type === asked.get("type")),
    );
    const link = chosen.length > from + limit ? { Link: '</notifications>; rel="next"' } : {};
    return Response.json(chosen.slice(from, from + limit), { headers: { ...headers, ...link } });
  }

  #rest(what: string, body: Record<string, unknown> | null): unknown {
    if (what === "GET /notifications/stats") {
      const types = [...new Set(this.inbox.map((item) => item.type))];
      return { byType: Object.fromEntries(types.map((type) => [type, { total: 1, unread: 0 }])) };
    }
    if (what.endsWith("/notifications/preferences")) {
      const types = { ...(this.preferences.types as object), ...((body?.types as object) ?? {}) };
      return (this.preferences = { ...this.preferences, ...body, types });
    }
    const moved = /^(PATCH|DELETE) \/notifications\/(n\d+)(?:\/(archive|unarchive))?$/.exec(what);
    if (moved) {
      const archivedAt = moved[3] === "archive" ? "2026-11-20T11:00:00.000Z" : null;
      if (moved[1] === "DELETE") this.inbox = this.inbox.filter((item) => item.id !== moved[2]);
      this.inbox = this.inbox.map((item) => (item.id === moved[2] ? { ...item, archivedAt } : item));
      return this.inbox.find((item) => item.id === moved[2]) ?? null;
    }
    const marked = /^PATCH \/notifications\/(n\d+)\/(read|unread)$/.exec(what);
    if (marked) {
      const read = marked[2] === "read";
      const readAt = read ? "2026-11-20T11:00:00.000Z" : null;
      this.inbox = this.inbox.map((item) => (item.id === marked[1] ? { ...item, read, readAt } : item));
      return this.inbox.find((item) => item.id === marked[1]);
    }
    if (what === "PATCH /notifications/read-all") {
      this.inbox = this.inbox.map((item) => ({ ...item, read: true }));
      return { updated: this.inbox.length, unreadCount: 0 };
    }
    return this.inbox;
  }

  #stream(signal: AbortSignal | null | undefined): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        this.#streams.add(stream);
        const hello = connected({ unreadCount: this.unread, cursor: "e1:100" });
        stream.enqueue(new TextEncoder().encode(`event: connected\ndata: ${JSON.stringify(hello)}\n\n`));
        signal?.addEventListener("abort", () => this.#streams.delete(stream));
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}

/** What is under way has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** `count` notifications, newest first; every other one is read. */
export function several(count: number): Notification[] {
  return Array.from({ length: count }, (_, at) =>
    notification(count - at, { title: `Title ${count - at}`, read: (count - at) % 2 === 0 }),
  );
}

/** In the document, with this client. */
export function placed<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  client: HubClient | null,
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[Tag] & { client: HubClient | null } {
  const element = document.createElement(tag) as HTMLElementTagNameMap[Tag] & { client: HubClient | null };
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.client = client;
  document.body.append(element);
  return element;
}

/** The part with this `data-testid` inside an element's shadow. */
export function part(element: HTMLElement, name: string): HTMLElement {
  const found = element.shadowRoot?.querySelector<HTMLElement>(`[data-testid="${name}"]`);
  if (!found) throw new Error(`there is no ${name}`);
  return found;
}

export function press(element: Element | null | undefined, key: string, shiftKey = false): void {
  element?.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, composed: true, cancelable: true }));
}
