import { expect, test } from "vitest";
import { asEnvelope, asEvent, isNotification, later, placeOf } from "../src/protocol";
import { notification } from "./samples";

test("a cursor is an epoch and an offset", () => {
  expect(placeOf("k3f9:1042")).toEqual({ epoch: "k3f9", offset: 1042 });
});

test.each([null, undefined, "", "k3f9", "k3f9:", ":7", "k3f9:-1", "k3f9:1e3", "a:b:1", `k:${"9".repeat(16)}`])(
  "%j is no place in a log",
  (text) => expect(placeOf(text)).toBeNull(),
);

test("an envelope has an id, a type and a time; anything else is none", () => {
  const envelope = notification(1);
  expect(asEnvelope(envelope)).toBe(envelope);
  for (const other of [null, "text", 7, [], { id: "x" }, { id: 1, type: "a.b", createdAt: "" }]) {
    expect(asEnvelope(other)).toBeNull();
  }
});

test("only an envelope with read marks stands in the inbox", () => {
  const { read, readAt, seenAt, archivedAt, channels, ...event } = notification(1);
  expect([read, readAt, seenAt, archivedAt, channels]).toEqual([false, null, null, null, []]);
  expect(isNotification(notification(1))).toBe(true);
  expect(isNotification(event)).toBe(false);
});

test("events are told from signals by what they carry, and marks are signals", () => {
  expect(asEvent("booking.created", notification(1))).toEqual(notification(1));
  expect(asEvent("notification:updated", notification(1))).toBeNull();
  expect(asEvent("notification:deleted", { id: "n1" })).toBeNull();
  expect(asEvent("heartbeat", undefined)).toBeNull();
});

test("a place only moves forward, and another life of the log counts as it stands", () => {
  expect(later("e1:4", "e1:5")).toBe("e1:5");
  expect(later("e1:5", "e1:4")).toBe("e1:5");
  expect(later("e1:5", "e2:1")).toBe("e2:1");
  expect(later(null, "e1:1")).toBe("e1:1");
  expect(later("e1:5", null)).toBe("e1:5");
  expect(later("e1:5", "nonsense")).toBe("e1:5");
});
