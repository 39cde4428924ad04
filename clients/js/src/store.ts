/**
 * The inbox as a value: (inbox, change) -> inbox. Newest first, each notification once, without archived ones, the
 * unread count as the hub counts it. Pure; knows no transport and no clock. An inbox that a change does not
 * touch is returned as it is.
 */
import { placeOf } from "./protocol";
import type { Connected, DeliveryUpdate, Notification } from "./protocol";

export interface Inbox {
  /** Newest first. */
  readonly notifications: readonly Notification[];
  readonly unread: number;
  /** Whose inbox it is; null before the first connection. */
  readonly userId: string | null;
  /** Whether the first page is there. */
  readonly loaded: boolean;
}

export type Change =
  | { kind: "connected"; connected: Connected }
  | { kind: "loaded"; notifications: readonly Notification[]; unread: number }
  /** An older page; the count is as it was. */
  | { kind: "older"; notifications: readonly Notification[] }
  /** `counted`: the unread count that the hub told us has it already. */
  | { kind: "notification"; notification: Notification; counted: boolean }
  | { kind: "updated"; notification: Notification }
  | { kind: "deleted"; id: string }
  | { kind: "read"; ids: readonly string[]; readAt: string | null; unread?: number }
  | { kind: "unread"; id: string }
  | { kind: "seen"; ids: readonly string[]; seenAt: string }
  | { kind: "read_all"; readAt: string | null; unread: number }
  | { kind: "count"; unread: number }
  | { kind: "delivery"; update: DeliveryUpdate }
  | { kind: "reset" };

export const EMPTY: Inbox = { notifications: [], unread: 0, userId: null, loaded: false };

/** Older ones are dropped; REST has them. */
export const KEPT = 500;

export function reduce(inbox: Inbox, change: Change): Inbox {
  switch (change.kind) {
    case "connected": {
      const { unreadCount, userId } = change.connected;
      return { ...inbox, unread: unreadCount ?? inbox.unread, userId };
    }
    case "loaded":
      return loaded(inbox, change.notifications, change.unread);
    case "older":
      return { ...inbox, notifications: merged(inbox.notifications, change.notifications) };
    case "notification":
      return arrived(inbox, change.notification, change.counted);
    case "updated":
      return updated(inbox, change.notification);
    case "deleted":
      return without(inbox, change.id);
    case "read":
      return marked(inbox, new Set(change.ids), change.readAt, change.unread);
    case "unread": {
      const fresh = inbox.notifications.find((item) => item.id === change.id && item.read);
      if (!fresh) return inbox;
      const touched = mapped(inbox, (item) => (item === fresh ? { ...item, read: false, readAt: null } : item));
      return { ...touched, unread: inbox.unread + 1 };
    }
    case "seen":
      return mapped(inbox, (item) =>
        item.seenAt === null && change.ids.includes(item.id) ? { ...item, seenAt: change.seenAt } : item,
      );
    case "read_all": {
      const all = new Set(inbox.notifications.map((item) => item.id));
      return marked(inbox, all, change.readAt, change.unread);
    }
    case "count":
      return change.unread === inbox.unread ? inbox : { ...inbox, unread: change.unread };
    case "delivery":
      return delivered(inbox, change.update);
    case "reset":
      return { ...EMPTY, userId: inbox.userId };
  }
}

function arrived(inbox: Inbox, fresh: Notification, counted: boolean): Inbox {
  if (inbox.notifications.some((item) => item.id === fresh.id)) return inbox;
  const unread = inbox.unread + (fresh.read || counted ? 0 : 1);
  return { ...inbox, notifications: sorted([fresh, ...inbox.notifications]), unread };
}

/** The page is the truth for what it holds; what arrived live while it was on its way is newer, and stays. */
function loaded(inbox: Inbox, page: readonly Notification[], unread: number): Inbox {
  const known = new Set(page.map((item) => item.id));
  const others = inbox.notifications.filter((item) => !known.has(item.id));
  const newest = page[0];
  const after = others.filter((item) => !item.read && (!newest || newer(item, newest) < 0));
  return { ...inbox, notifications: merged(others, page), unread: unread + after.length, loaded: true };
}

/** Archived or taken back from the archive, or marked in another way. */
function updated(inbox: Inbox, fresh: Notification): Inbox {
  const { notifications } = inbox;
  if (fresh.archivedAt !== null) {
    const kept = notifications.filter((item) => item.id !== fresh.id);
    return kept.length === notifications.length ? inbox : { ...inbox, notifications: kept };
  }
  if (notifications.some((item) => item.id === fresh.id)) {
    return mapped(inbox, (item) => (item.id === fresh.id ? fresh : item));
  }
  // Below the oldest there may be others that are not loaded.
  const oldest = notifications[notifications.length - 1];
  if (oldest && newer(oldest, fresh) < 0) return inbox;
  return { ...inbox, notifications: sorted([fresh, ...notifications]) };
}

function without(inbox: Inbox, id: string): Inbox {
  const gone = inbox.notifications.find((item) => item.id === id);
  if (!gone) return inbox;
  const notifications = inbox.notifications.filter((item) => item !== gone);
  return { ...inbox, notifications, unread: Math.max(0, inbox.unread - (gone.read ? 0 : 1)) };
}

function marked(
  inbox: Inbox,
  ids: ReadonlySet<string>,
  readAt: string | null,
  unread: number | undefined,
): Inbox {
  const fresh = inbox.notifications.filter((item) => ids.has(item.id) && !item.read);
  const touched = mapped(inbox, (item) => (fresh.includes(item) ? { ...item, read: true, readAt } : item));
  const count = unread ?? Math.max(0, inbox.unread - fresh.length);
  return count === touched.unread ? touched : { ...touched, unread: count };
}

function delivered(inbox: Inbox, update: DeliveryUpdate): Inbox {
  if (update.userId !== inbox.userId) return inbox; // an ADMIN is told about everybody's
  const { channel, status, attempts, error } = update;
  return mapped(inbox, (item) => {
    if (item.id !== update.notificationId) return item;
    const others = item.channels.filter((known) => known.channel !== channel);
    return { ...item, channels: [...others, { channel, status, attempts, error }] };
  });
}

function mapped(inbox: Inbox, change: (item: Notification) => Notification): Inbox {
  const notifications = inbox.notifications.map(change);
  const same = notifications.every((item, at) => item === inbox.notifications[at]);
  return same ? inbox : { ...inbox, notifications };
}

function merged(some: readonly Notification[], page: readonly Notification[]): Notification[] {
  const known = new Set(page.map((item) => item.id));
  return sorted([...page, ...some.filter((item) => !known.has(item.id))]);
}

function sorted(items: Notification[]): Notification[] {
  return items.sort(newer).slice(0, KEPT);
}

/** By place in the log; by time where places cannot be compared. */
function newer(a: Notification, b: Notification): number {
  const [left, right] = [placeOf(a.cursor), placeOf(b.cursor)];
  if (left && right && left.epoch === right.epoch) return right.offset - left.offset;
  return b.createdAt < a.createdAt ? -1 : b.createdAt > a.createdAt ? 1 : 0;
}
