/**
 * What the hub says: the envelope, the signals beside it, and what a cursor is. Promises types and pure
 * readers of untrusted values; knows no transport, no time and no state.
 */

/** A delivery of one notification on one outside channel, as the envelope shows it. */
export interface ChannelState {
  channel: string;
  status: string;
  attempts: number;
  error: string | null;
}

export type Severity = "info" | "success" | "warning" | "error" | "critical";

/** An event as every transport and REST show it. `cursor` is null for events that are not in the log. */
export interface Envelope {
  id: string;
  type: string;
  title: string | null;
  message: string | null;
  link: string | null;
  data: Record<string, unknown>;
  severity: Severity;
  /** There when the event went to exactly one room. */
  room?: string;
  tenantId: string;
  /** ISO 8601, UTC. */
  createdAt: string;
  cursor: string | null;
}

/** An event that also stands in the inbox of everyone in its rooms. */
export interface Notification extends Envelope {
  read: boolean;
  readAt: string | null;
  seenAt: string | null;
  archivedAt: string | null;
  channels: ChannelState[];
}

/** The first thing a connection is told. */
export interface Connected {
  sid: string;
  sessionId: string;
  userId: string;
  tenantId: string;
  rooms: string[];
  /** The place to come back to: where the log stands or, while a replay follows, where the client was. */
  cursor: string;
  recovered: boolean;
  recoveryReason: string | null;
  /** How many missed events follow, before the first live one. */
  replayed: number;
  /** The missed ones are in it. Null when the hub could not count. */
  unreadCount: number | null;
  heartbeatMs: number;
  expiresAt: string | null;
}

export interface DeliveryUpdate {
  id: string;
  notificationId: string;
  userId: string;
  channel: string;
  status: string;
  attempts: number;
  error: string | null;
  provider: string | null;
  /** The provider may have been called twice. */
  maybeDuplicate: boolean;
  at: string;
}

export interface ReadMark {
  ids: string[];
  readAt: string;
  unreadCount: number;
}

/** What the hub sends beside events, by name. The value is the last argument of the message. */
export interface Signals {
  connected: Connected;
  "notification:read": ReadMark;
  "notification:read_all": { readAt: string; unreadCount: number };
  "notification:seen": { ids: string[]; seenAt: string };
  "notification:unread_count": { count: number };
  "notification:updated": Notification;
  "notification:deleted": { id: string };
  "delivery:update": DeliveryUpdate;
  "presence:join": { userId: string; roles: string[]; at: string };
  "presence:leave": { userId: string; roles: string[]; at: string };
  heartbeat: { timestamp: string };
  "auth:expiring": { expiresAt: string };
  "sync:reset": { reason: string; earliest: string | null };
  "server:draining": { retryAfterMs: number };
  "session:closed": { code: string; reason: string; reconnect: boolean };
  error: { code: string; message: string; retryAfter?: number };
}

export type SignalName = keyof Signals;

const SIGNALS: Record<SignalName, true> = {
  connected: true,
  "notification:read": true,
  "notification:read_all": true,
  "notification:seen": true,
  "notification:unread_count": true,
  "notification:updated": true,
  "notification:deleted": true,
  "delivery:update": true,
  "presence:join": true,
  "presence:leave": true,
  heartbeat: true,
  "auth:expiring": true,
  "sync:reset": true,
  "server:draining": true,
  "session:closed": true,
  error: true,
};

export function isSignal(name: string): name is SignalName {
  return Object.hasOwn(SIGNALS, name);
}

/** The envelope in `value`, or null when it is none (an answer to a request, say). */
export function asEnvelope(value: unknown): Envelope | null {
  if (typeof value !== "object" || value === null) return null;
  const { id, type, createdAt } = value as Partial<Envelope>;
  const complete = typeof id === "string" && typeof type === "string" && typeof createdAt === "string";
  return complete ? (value as Envelope) : null;
}

/** Only what stands in an inbox carries read marks. */
export function isNotification(envelope: Envelope): envelope is Notification {
  return "read" in envelope;
}

/** A cursor, taken apart: one place in a tenant's log. */
export interface Place {
  epoch: string;
  offset: number;
}

export function placeOf(cursor: string | null | undefined): Place | null {
  const found = /^([0-9A-Za-z]+):(\d{1,15})$/.exec(cursor ?? "");
  return found ? { epoch: found[1] ?? "", offset: Number(found[2]) } : null;
}
