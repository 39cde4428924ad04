/**
 * What the hub says: the envelope, the signals beside it, and what a cursor is. Promises types and pure
 * readers of untrusted values; knows no transport, no time and no state.
 */
import type { Envelope, EventTypes, InboxItem, Signals as Said } from "./generated";

export type { ChannelState, Connected, Envelope, InboxStats, Location, OnlineUser, Step } from "./generated";

export type Severity = Envelope["severity"];

/** An event that also stands in the inbox of everyone in its rooms. */
export type Notification = InboxItem;

/** An event of a registered type. */
export type EventOf<Type extends keyof EventTypes> = Envelope & { type: string; data: EventTypes[Type] };

/** What the hub sends beside events, by name. The value is the last argument of the message. */
export type Signals = Omit<Said, "notification:new">;
export type SignalName = keyof Signals;
export type Signal = { [Name in keyof Signals]: { name: Name; payload: Signals[Name] } }[SignalName];
export type DeliveryUpdate = Signals["delivery:update"];
export type Presence = Signals["presenceStats"];
export type Passage = Signals["presence:join"];

/** The envelope in `value`, or null when it is none (an answer to a request, say). */
export function asEnvelope(value: unknown): Envelope | null {
  if (typeof value !== "object" || value === null) return null;
  const { id, type, createdAt } = value as Partial<Envelope>;
  const complete = typeof id === "string" && typeof type === "string" && typeof createdAt === "string";
  return complete ? (value as Envelope) : null;
}

/** The event that a message of this name brings; null: it is a signal. Marks come as envelopes and are none. */
export function asEvent(name: string, payload: unknown): Envelope | null {
  return name === "notification:updated" ? null : asEnvelope(payload);
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

/** The later of two places. One of another epoch than `known` is taken: it is what the hub says now. */
export function later(known: string | null, heard: string | null | undefined): string | null {
  const [before, after] = [placeOf(known), placeOf(heard)];
  if (!after || (before && before.epoch === after.epoch && before.offset >= after.offset)) return known;
  return heard ?? known;
}
