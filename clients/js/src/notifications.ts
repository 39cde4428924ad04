/**
 * The person's notifications: asked for by REST, marked at once on the screen and then at the hub. What the hub
 * refuses is taken back on the screen and thrown as a `HubError`.
 */
import type { InboxStats, ReadAll, Step } from "./generated";
import { heard, NONE, settled, wished } from "./optimistic";
import type { Inboxes } from "./optimistic";
import { query } from "./rest";
import type { Answer, Rest } from "./rest";
import type { Notification, Signal } from "./protocol";
import type { Change, Inbox } from "./store";

export interface Selection {
  read?: boolean;
  archived?: boolean;
  type?: string;
  /** 1 to 100, default 20. */
  limit?: number;
  offset?: number;
  /** Only what came after this cursor. */
  after?: string;
}

export interface Page {
  notifications: Notification[];
  total: number;
  unread: number;
  /** Whether there is more behind this page. */
  more: boolean;
}

const PAGE = 50;

export class Notifications {
  readonly #rest: Rest;
  readonly #changed: (inbox: Inbox) => void;
  #inboxes: Inboxes = NONE;
  #wishes = 0;

  constructor(rest: Rest, changed: (inbox: Inbox) => void) {
    this.#rest = rest;
    this.#changed = changed;
  }

  get inbox(): Inbox {
    return this.#inboxes.shown;
  }

  /** A page as the hub has it now, newest first; the live inbox stays as it is. */
  async list(selection: Selection = {}): Promise<Page> {
    const { body, headers } = await this.#rest.send<Notification[]>("GET", `/notifications${query({ ...selection })}`);
    return {
      notifications: body,
      total: Number(headers.get("X-Total-Count") ?? 0),
      unread: Number(headers.get("X-Unread-Count") ?? 0),
      more: (headers.get("Link") ?? "").includes('rel="next"'),
    };
  }

  async get(id: string): Promise<Notification> {
    return (await this.#rest.send<Notification>("GET", path(id))).body;
  }

  /** How many are unread. */
  async count(): Promise<number> {
    const { count } = (await this.#rest.send<{ count: number }>("GET", "/notifications/unread-count")).body;
    this.apply({ kind: "count", unread: count });
    return count;
  }

  async stats(): Promise<InboxStats> {
    return (await this.#rest.send<InboxStats>("GET", "/notifications/stats")).body;
  }

  /** Every step of its deliveries, oldest first. */
  async timeline(id: string): Promise<Step[]> {
    return (await this.#rest.send<Step[]>("GET", path(id, "timeline"))).body;
  }

  /** Brings the live inbox up to date. */
  async reload(): Promise<void> {
    const { notifications, unread } = await this.list({ archived: false, limit: PAGE });
    this.apply({ kind: "loaded", notifications, unread });
  }

  /** Puts the next older page into the live inbox. False: there was none. */
  async more(): Promise<boolean> {
    const offset = this.#inboxes.confirmed.notifications.length;
    const { notifications, more } = await this.list({ archived: false, limit: PAGE, offset });
    if (notifications.length > 0) this.apply({ kind: "older", notifications });
    return more;
  }

  read(id: string): Promise<Notification> {
    return this.#mark(id, "read", { kind: "read", ids: [id], readAt: now() });
  }

  unread(id: string): Promise<Notification> {
    return this.#mark(id, "unread", { kind: "unread", id });
  }

  /** They were on a screen. */
  async seen(...ids: string[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#mark(id, "seen", { kind: "seen", ids: [id], seenAt: now() })));
  }

  archive(id: string): Promise<Notification> {
    return this.#mark(id, "archive", { kind: "deleted", id });
  }

  unarchive(id: string): Promise<Notification> {
    return this.#mark(id, "unarchive", { kind: "seen", ids: [], seenAt: "" });
  }

  /** Out of this person's inbox, for good. */
  async remove(id: string): Promise<void> {
    await this.#wish({ kind: "deleted", id }, () => this.#rest.send("DELETE", path(id)), () => [{ kind: "deleted", id }]);
  }

  /** Everything up to now. */
  async readAll(): Promise<ReadAll> {
    const readAt = now();
    const send = (): Promise<Answer<ReadAll>> => this.#rest.send<ReadAll>("PATCH", "/notifications/read-all");
    const { body } = await this.#wish({ kind: "read_all", readAt, unread: 0 }, send, (answer) => [
      { kind: "read_all", readAt: answer.body.readAt, unread: answer.body.unreadCount },
    ]);
    return body;
  }

  /** What the hub says of marks and deliveries, wherever they were made. */
  hear(signal: Signal): void {
    switch (signal.name) {
      case "notification:read": {
        const { ids, readAt, unreadCount } = signal.payload;
        return this.apply({ kind: "read", ids, readAt, unread: unreadCount });
      }
      case "notification:read_all": {
        const { readAt, unreadCount } = signal.payload;
        return this.apply({ kind: "read_all", readAt, unread: unreadCount });
      }
      case "notification:seen":
        return this.apply({ kind: "seen", ...signal.payload });
      case "notification:unread_count":
        return this.apply({ kind: "count", unread: signal.payload.count });
      case "notification:updated":
        return this.apply({ kind: "updated", notification: signal.payload });
      case "notification:deleted":
        return this.apply({ kind: "deleted", id: signal.payload.id });
      case "delivery:update":
        return this.apply({ kind: "delivery", update: signal.payload });
    }
  }

  /** What was heard of the inbox. */
  apply(change: Change): void {
    this.#become(heard(this.#inboxes, change));
  }

  async #mark(id: string, verb: string, change: Change): Promise<Notification> {
    const send = (): Promise<Answer<Notification>> => this.#rest.send<Notification>("PATCH", path(id, verb));
    const { body } = await this.#wish(change, send, ({ body: notification, headers }) => {
      const unread = headers.get("X-Unread-Count");
      const count: Change[] = unread === null ? [] : [{ kind: "count", unread: Number(unread) }];
      return [{ kind: "updated", notification }, ...count];
    });
    return body;
  }

  /** Shows `change` until the hub has answered, then what it `said`. */
  async #wish<Said>(change: Change, send: () => Promise<Said>, said: (answer: Said) => Change[]): Promise<Said> {
    const key = ++this.#wishes;
    this.#become(wished(this.#inboxes, { key, change }));
    let confirmed: Change[] = [];
    try {
      const answer = await send();
      confirmed = said(answer);
      return answer;
    } finally {
      this.#become(settled(this.#inboxes, key, confirmed));
    }
  }

  #become(inboxes: Inboxes): void {
    const before = this.#inboxes.shown;
    this.#inboxes = inboxes;
    if (inboxes.shown !== before) this.#changed(inboxes.shown);
  }
}

function path(id: string, verb?: string): string {
  return `/notifications/${encodeURIComponent(id)}${verb ? `/${verb}` : ""}`;
}

function now(): string {
  return new Date().toISOString();
}
