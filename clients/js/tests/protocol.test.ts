import { expect, test } from "vitest";
import { asEnvelope, isNotification, isSignal, placeOf } from "../src/protocol";
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

test("signals are told from events by name, and inherited names are none", () => {
  expect(isSignal("delivery:update")).toBe(true);
  expect(isSignal("booking.created")).toBe(false);
  expect(isSignal("toString")).toBe(false);
});
