import { afterEach, expect, test, vi } from "vitest";
import "../../src/ui/preferences";
import type { HubPreferences } from "../../src/ui/preferences";
import { notification } from "../samples";
import { part, placed, PretendHub, settled } from "./pretend";

afterEach(() => {
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

async function shown(hub: PretendHub, attributes: Record<string, string> = {}): Promise<HubPreferences> {
  const preferences = placed("hub-preferences", await hub.client(), attributes);
  await settled();
  return preferences;
}
const box = (preferences: HubPreferences, name: string): HTMLInputElement => part(preferences, name) as HTMLInputElement;
const said = (hub: PretendHub): unknown[] =>
  hub.asked.filter((what) => what.startsWith("PATCH")).map((what) => JSON.parse(what.slice(what.indexOf("{"))));

function set(preferences: HubPreferences, name: string, value: string | boolean): void {
  const input = box(preferences, name);
  if (typeof value === "boolean") input.checked = value;
  else input.value = value;
  input.dispatchEvent(new Event("change"));
}

test("a type shows what holds for it: its own word, else its channel's", async () => {
  const hub = new PretendHub(notification(1));
  hub.preferences.types = { "booking.created": { email: false }, "payment.received": {} };
  const preferences = await shown(hub);
  expect(box(preferences, "sms").checked).toBe(false);
  expect(box(preferences, "booking.created email").checked).toBe(false);
  expect(box(preferences, "payment.received email").checked).toBe(true);
  expect(box(preferences, "payment.received sms").checked).toBe(false);
});

test("a change is shown and sent at once, and nothing but the change", async () => {
  const hub = new PretendHub(notification(1));
  const preferences = await shown(hub);
  set(preferences, "email", false);
  expect(box(preferences, "email").checked).toBe(false);
  set(preferences, "booking.created sms", true);
  await settled();
  expect(said(hub)).toEqual([{ email: false }, { types: { "booking.created": { sms: true } } }]);
  expect(box(preferences, "booking.created sms").checked).toBe(true);
  expect(preferences.shadowRoot?.querySelector(".state")?.textContent).toBe("Saved");
});

test("a change that the hub refuses is taken back, and another one stays", async () => {
  const hub = new PretendHub(notification(1));
  const preferences = await shown(hub);
  const faults: unknown[] = [];
  preferences.addEventListener("hub-error", (event) => faults.push((event as CustomEvent).detail));
  vi.stubGlobal("fetch", refusing("email", globalThis.fetch));
  set(preferences, "email", false);
  set(preferences, "discord", false);
  expect([box(preferences, "email").checked, box(preferences, "discord").checked]).toEqual([false, false]);
  await settled();
  expect([box(preferences, "email").checked, box(preferences, "discord").checked]).toEqual([true, false]);
  expect(faults).toHaveLength(1);
  expect(preferences.shadowRoot?.querySelector("[role=alert]")?.textContent).toContain("not saved");
});

/** Refuses what would change this channel. */
function refusing(channel: string, fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) =>
    String(init?.body).includes(`"${channel}"`) ? Response.json({ detail: "no" }, { status: 503 }) : fetch(input, init);
}

test("quiet hours come with the clock of this place, and end with a word of their own", async () => {
  const hub = new PretendHub();
  const preferences = await shown(hub);
  set(preferences, "quiet", true);
  await settled();
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  set(preferences, "end", "06:30");
  await settled();
  set(preferences, "quiet", false);
  await settled();
  expect(said(hub)).toEqual([
    { quietHours: { start: "22:00", end: "07:00", timezone } },
    { quietHours: { start: "22:00", end: "06:30", timezone } },
    { quietHours: { start: "00:00", end: "00:00", timezone } },
  ]);
  expect(preferences.shadowRoot?.querySelector('[data-testid="end"]')).toBeNull();
});

test("mails are gathered once a day, at a time", async () => {
  const hub = new PretendHub();
  const preferences = await shown(hub);
  set(preferences, "digest", "daily");
  await settled();
  set(preferences, "digest-at", "18:30");
  await settled();
  set(preferences, "digest", "off");
  await settled();
  expect(said(hub)).toEqual([{ digest: "daily@08:00" }, { digest: "daily@18:30" }, { digest: "off" }]);
});

test("what is changed elsewhere shows here, and keeps the focus", async () => {
  const hub = new PretendHub();
  const preferences = await shown(hub);
  box(preferences, "sms").focus();
  await hub.says("preferences:updated", { ...hub.preferences, email: false });
  expect(box(preferences, "email").checked).toBe(false);
  expect(preferences.shadowRoot?.activeElement).toBe(box(preferences, "sms"));
});

test("a page chooses channels and types, and what they are called", async () => {
  const hub = new PretendHub(notification(1));
  const preferences = await shown(hub, { channels: "inApp email", types: "booking.created review.created", lang: "de" });
  preferences.labels = { "review.created": "Neue Bewertungen" };
  const heads = [...(preferences.shadowRoot?.querySelectorAll("th") ?? [])].map((head) => head.textContent);
  expect(heads).toEqual(["Art", "In der App", "E-Mail", "booking.created", "Neue Bewertungen"]);
});
