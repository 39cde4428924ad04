/** Values as the hub sends them, for the tests of the pure parts. */
import type { Connected, Notification } from "../src/protocol";

export function notification(offset: number, change: Partial<Notification> = {}): Notification {
  return {
    id: `n${offset}`,
    type: "booking.created",
    title: "New booking",
    message: null,
    link: null,
    data: {},
    severity: "info",
    tenantId: "city-hotel",
    createdAt: new Date(Date.UTC(2026, 10, 20, 10, 0, offset)).toISOString(),
    cursor: `e1:${offset}`,
    read: false,
    readAt: null,
    seenAt: null,
    archivedAt: null,
    channels: [],
    ...change,
  };
}

export function connected(change: Partial<Connected> = {}): Connected {
  return {
    sid: "c1",
    sessionId: "s1",
    userId: "ana",
    tenantId: "city-hotel",
    rooms: ["user:ana"],
    cursor: "e1:0",
    recovered: false,
    recoveryReason: null,
    replayed: 0,
    unreadCount: 0,
    heartbeatMs: 30_000,
    expiresAt: null,
    ...change,
  };
}
