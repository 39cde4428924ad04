/**
 * The few REST calls the client makes: the page to start from, and read marks. Every refusal becomes a
 * `HubError` with the stable code of the answer. Knows no connection and keeps nothing.
 */
import type { Notification } from "./protocol";

/** A request the hub did not carry out. `code` is stable snake_case; `status` is HTTP's. */
export class HubError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(message: string, code: string, status: number) {
    super(message);
    this.name = "HubError";
    this.code = code;
    this.status = status;
  }
}

export interface Page {
  notifications: Notification[];
  total: number;
  unread: number;
}

export class Rest {
  readonly #url: string;
  readonly #token: () => string | Promise<string>;

  constructor(url: string, token: () => string | Promise<string>) {
    this.#url = url;
    this.#token = token;
  }

  /** The newest `limit` (1 to 100) notifications. */
  async newest(limit: number): Promise<Page> {
    const answer = await this.#send("GET", `/notifications?limit=${limit}`);
    return {
      notifications: (await answer.json()) as Notification[],
      total: Number(answer.headers.get("X-Total-Count") ?? 0),
      unread: Number(answer.headers.get("X-Unread-Count") ?? 0),
    };
  }

  async markRead(id: string): Promise<Notification> {
    const answer = await this.#send("PATCH", `/notifications/${encodeURIComponent(id)}/read`);
    return (await answer.json()) as Notification;
  }

  async markAllRead(): Promise<{ updated: number; unreadCount: number; readAt?: string }> {
    const answer = await this.#send("PATCH", "/notifications/read-all");
    return (await answer.json()) as { updated: number; unreadCount: number; readAt?: string };
  }

  async #send(method: string, path: string): Promise<Response> {
    const headers = { Authorization: `Bearer ${await this.#token()}` };
    // A mark that was asked for goes out although its page is left.
    const answer = await fetch(this.#url + path, { method, headers, cache: "no-store", keepalive: method !== "GET" });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string; code?: string };
    throw new HubError(problem.detail ?? `HTTP ${answer.status}`, problem.code ?? "unknown", answer.status);
  }
}
