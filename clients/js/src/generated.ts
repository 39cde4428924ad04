/**
 * What the hub says, as types. Written by `python docs/generate.py` from the registry of event types and the
 * schemas of OpenAPI and AsyncAPI; a test compares. Knows no values.
 */

export type ByType = Record<string, ChannelWishes | null>;

/** what became of one delivery */
export interface ChannelState {
  channel: "email" | "sms" | "discord" | "webpush";
  /** the state of a delivery */
  status: "planned" | "queued" | "sending" | "sent" | "delivered" | "opened" | "retrying" | "dead" | "skipped" | "cancelled" | "unknown";
  attempts: number;
  error: string | null;
}

/** which channels are wanted; null takes a word back */
export interface ChannelWishes {
  email?: boolean | null;
  sms?: boolean | null;
  discord?: boolean | null;
  webpush?: boolean | null;
  inApp?: boolean | null;
}

/** the first thing on every connection */
export interface Connected {
  /** this connection */
  sid: string;
  sessionId: string;
  /** the id of a user */
  userId: string;
  tenantId: string;
  rooms: string[];
  /** one place in the tenant's log */
  cursor: string;
  /** whether everything after the given cursor is there or follows now */
  recovered: boolean;
  /** why not */
  recoveryReason: string | null;
  /** how many events follow from the past */
  replayed: number;
  unreadCount: number | null;
  heartbeatMs: number;
  expiresAt: string | null;
}

/** an event; one that is a notification has the marks too, fresh ones */
export interface Envelope {
  /** what clients remove duplicates by */
  id: string;
  /** the canonical name */
  type: string;
  title: string | null;
  message: string | null;
  /** where a click leads */
  link: string | null;
  /** what the sender gave */
  data: Record<string, unknown>;
  severity: "info" | "success" | "warning" | "error" | "critical";
  tenantId: string;
  createdAt: string;
  /** one place in the tenant's log */
  cursor: string | null;
  /** only when the event went to exactly one room */
  room?: string;
  read?: boolean;
  readAt?: string | null;
  seenAt?: string | null;
  archivedAt?: string | null;
  /** the caller's own deliveries; empty in live events */
  channels?: ChannelState[];
}

/** a notification as it stands in the caller's inbox */
export interface InboxItem {
  /** what clients remove duplicates by */
  id: string;
  /** the canonical name */
  type: string;
  title: string | null;
  message: string | null;
  /** where a click leads */
  link: string | null;
  /** what the sender gave */
  data: Record<string, unknown>;
  severity: "info" | "success" | "warning" | "error" | "critical";
  tenantId: string;
  createdAt: string;
  /** one place in the tenant's log */
  cursor: string | null;
  read: boolean;
  readAt: string | null;
  seenAt: string | null;
  archivedAt: string | null;
  /** the caller's own deliveries; empty in live events */
  channels: ChannelState[];
  /** only when the event went to exactly one room */
  room?: string;
}

export interface InboxStats {
  total: number;
  unread: number;
  byType: Record<string, {
    total: number;
    unread: number;
  }>;
  /** for each channel how many are in which state */
  byChannel: Record<string, Record<string, number>>;
}

/** where the caller is */
export interface Location {
  /** degrees; the caps beyond are left out, as on web maps */
  lat: number;
  /** degrees */
  lon: number;
  /** metres; what is only known more roughly than 50000 is refused */
  accuracy?: number | null;
}

export interface OnlineUser {
  /** the id of a user */
  userId: string;
  roles: string[];
  connections: number;
}

/** everything that holds, whoever has said it */
export interface Preferences {
  inApp: boolean;
  email: boolean;
  sms: boolean;
  discord: boolean;
  webpush: boolean;
  /** where a type differs from its channels */
  types: Record<string, Record<string, boolean>>;
  quietHours: {
    start: string;
    end: string;
    timezone: string | null;
  } | null;
  digest: string | null;
  locale: string | null;
}

/** what is left out stays as it is; null takes a word back */
export interface PreferencesChange {
  email?: boolean | null;
  sms?: boolean | null;
  discord?: boolean | null;
  webpush?: boolean | null;
  inApp?: boolean | null;
  /** by the name of a type or one of its aliases: wins over the channel as a whole */
  types?: ByType | null;
  /** in their time zone, else in the person's, else in UTC; the same start and end: never */
  quietHours?: QuietHours | null;
  /** mails are gathered until then; `daily` alone is at 08:00; off: each by itself, at once */
  digest?: string | null;
  locale?: string | null;
}

/** by the wall clock, every day; over midnight when the end is earlier */
export interface QuietHours {
  start: string;
  end: string;
  timezone?: string | null;
}

export interface ReadAll {
  updated: number;
  readAt: string;
  unreadCount: number;
}

/** an answer */
export interface Refused {
  code: string;
  message: string;
  retryAfter?: number;
}

/** one step of a delivery; what does not belong to it is null */
export interface Step {
  deliveryId: string | null;
  channel: "inApp" | "email" | "sms" | "discord" | "webpush";
  step: "attempt" | "planned" | "queued" | "sending" | "sent" | "delivered" | "opened" | "retrying" | "dead" | "skipped" | "cancelled" | "unknown" | "bounced" | "complained" | "unsubscribed";
  at: string;
  attempt: number | null;
  provider: string | null;
  outcome: "sent" | "temporary" | "permanent" | "lost" | null;
  durationMs: number | null;
  /** what the provider said, or why it stands where it does */
  detail: string | null;
  dueAt: string | null;
  maybeDuplicate: boolean;
}

export interface Ticket {
  ticket: string;
  /** seconds */
  expiresIn: number;
}

/** What the hub sends beside events, by name: the last argument of the message. */
export interface Signals {
  connected: Connected;
  "notification:new": Envelope;
  /** read on another connection of the user */
  "notification:read": {
    ids: string[];
    readAt: string;
    unreadCount: number;
  };
  /** all were read */
  "notification:read_all": {
    readAt: string;
    unreadCount: number;
  };
  /** they were seen */
  "notification:seen": {
    ids: string[];
    seenAt: string;
  };
  "notification:updated": InboxItem;
  /** the user removed it */
  "notification:deleted": {
    id: string;
  };
  /** after everything that may change it */
  "notification:unread_count": {
    count: number;
  };
  "preferences:updated": Preferences;
  /** to the user and to `role:ADMIN` */
  "delivery:update": {
    id: string;
    notificationId: string;
    /** the id of a user */
    userId: string;
    channel: "email" | "sms" | "discord" | "webpush";
    /** the state of a delivery */
    status: "planned" | "queued" | "sending" | "sent" | "delivered" | "opened" | "retrying" | "dead" | "skipped" | "cancelled" | "unknown";
    attempts: number;
    error: string | null;
    provider: string | null;
    maybeDuplicate: boolean;
    at: string;
  };
  /** a user came; `userId` is null for who may not see users */
  "presence:join": {
    /** an audience inside the tenant */
    room: string;
    /** the id of a user */
    userId: string | null;
    roles: string[];
    at: string;
  };
  /** a user has gone */
  "presence:leave": {
    /** an audience inside the tenant */
    room: string;
    /** the id of a user */
    userId: string | null;
    roles: string[];
    at: string;
  };
  /** at a fixed interval; not on streams */
  heartbeat: {
    timestamp: string;
  };
  /** answer with `refresh` in time */
  "auth:expiring": {
    expiresAt: string;
  };
  /** what was missed cannot be replayed: fetch it by REST */
  "sync:reset": {
    reason: string;
    /** one place in the tenant's log */
    earliest: string | null;
  };
  /** this process stops: come back after that time */
  "server:draining": {
    retryAfterMs: number;
  };
  /** the last event before the hub disconnects */
  "session:closed": {
    code: string;
    reason: string;
    reconnect: boolean;
  };
  /** the answer to `ping` */
  pong: {
    timestamp: string;
  };
  /** the answer to `joinRoom` */
  joinedRoom: {
    /** an audience inside the tenant */
    room: string;
  };
  /** the answer to `leaveRoom` */
  leftRoom: {
    /** an audience inside the tenant */
    room: string;
  };
  /** the answer to `getPresence` */
  presenceStats: {
    /** an audience inside the tenant */
    room: string;
    /** users with at least one connection */
    totalOnline: number;
    byRole: Record<string, number>;
    connections: number;
    sessions: number;
    /** true while only the connections of this process can be counted */
    partial?: true;
    /** for who may see users */
    users?: OnlineUser[];
  };
  /** the answer to `markNotificationRead` */
  notificationRead: {
    id: string;
  };
  /** the answer to `updateLocation` */
  locationUpdated: {
    expiresAt: string;
  };
  /** the answer to `refresh` */
  "auth:refreshed": {
    expiresAt: string;
  };
  error: Refused;
}

/** The registered types, also under the name they are sent as: what stands in `data`. */
export interface EventTypes {
  "booking.created": Record<string, unknown>;
  "booking.updated": Record<string, unknown>;
  "booking.accepted": Record<string, unknown>;
  "booking.confirmed": Record<string, unknown>;
  "booking.cancelled": Record<string, unknown>;
  "booking.completed": Record<string, unknown>;
  "booking.no_show": Record<string, unknown>;
  "booking.reminder": Record<string, unknown>;
  "checkin.reminder": Record<string, unknown>;
  "payment.received": Record<string, unknown>;
  "payment.created": Record<string, unknown>;
  "payment.failed": Record<string, unknown>;
  "payment.due": Record<string, unknown>;
  "subscription.expiring": Record<string, unknown>;
  "review.created": Record<string, unknown>;
  "job.nearby": Record<string, unknown>;
  "nearby-job": Record<string, unknown>;
  "student.registered": Record<string, unknown>;
  "course.registered": Record<string, unknown>;
  "session.created": Record<string, unknown>;
  "customer.created": Record<string, unknown>;
  "system.maintenance": Record<string, unknown>;
  system: Record<string, unknown>;
  "system.error": Record<string, unknown>;
  "report.daily": Record<string, unknown>;
  reminder: Record<string, unknown>;
  test: Record<string, unknown>;
}
