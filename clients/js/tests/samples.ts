/** Values as the hub sends them, for the tests of the pure parts. */
import type { Connected, Notification } from "../src/protocol";
import { said } from "./wire";

const [, NOTIFICATION] = said<Notification>("notification-new");
const [, CONNECTED] = said<Connected>("connected");

export function notification(offset: number, change: Partial<Notification> = {}): Notification {
  return {
    ...NOTIFICATION,
    id: `n${offset}`,
    type: "booking.created",
    title: "New booking",
    message: null,
    data: {},
    severity: "info",
    createdAt: new Date(Date.UTC(2026, 10, 20, 10, 0, offset)).toISOString(),
    cursor: `e1:${offset}`,
    ...change,
  };
}

/** Without an end of its token, so that nothing happens by time. */
export function connected(change: Partial<Connected> = {}): Connected {
  return { ...CONNECTED, sid: "c1", expiresAt: null, ...change };
}
