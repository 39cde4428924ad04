import { afterEach, beforeEach, expect, test, vi } from "vitest";
import "../../src/ui/toasts";
import type { HubToasts } from "../../src/ui/toasts";
import { connected, notification } from "../samples";
import { placed, PretendHub } from "./pretend";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => {
  document.body.replaceChildren();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const shown = (toasts: HubToasts): (string | null | undefined)[] =>
  [...(toasts.shadowRoot?.querySelectorAll(".toast") ?? [])].map((toast) => toast.querySelector(".name")?.textContent);
const list = (toasts: HubToasts): Element | null | undefined => toasts.shadowRoot?.querySelector(".toasts");

test("what arrives is shown once, for some seconds", async () => {
  const hub = new PretendHub();
  const toasts = placed("hub-toasts", await hub.client());
  await hub.arrives(notification(101, { title: "Fresh" }));
  await hub.arrives(notification(101, { title: "Fresh" }));
  expect(shown(toasts)).toEqual(["Fresh"]);
  await vi.advanceTimersByTimeAsync(5900);
  expect(shown(toasts)).toEqual(["Fresh"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(shown(toasts)).toEqual([]);
});

test("another client that brings the same notification shows no second toast", async () => {
  const hub = new PretendHub();
  const toasts = placed("hub-toasts", await hub.client());
  await hub.arrives(notification(101));
  toasts.client?.disconnect();
  toasts.client = await hub.client();
  await hub.says("booking.created", notification(101), "e1:101");
  expect(shown(toasts)).toEqual([]);
});

test("time stands still under the pointer", async () => {
  const hub = new PretendHub();
  const toasts = placed("hub-toasts", await hub.client(), { duration: "1000" });
  await hub.arrives(notification(101, { title: "Held" }));
  await vi.advanceTimersByTimeAsync(900);
  list(toasts)?.dispatchEvent(new Event("pointerenter"));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(shown(toasts)).toEqual(["Held"]);
  list(toasts)?.dispatchEvent(new Event("pointerleave"));
  await vi.advanceTimersByTimeAsync(90);
  expect(shown(toasts)).toEqual(["Held"]);
  await vi.advanceTimersByTimeAsync(20);
  expect(shown(toasts)).toEqual([]);
});

test("the worst stay until they are closed, and are alerts", async () => {
  const hub = new PretendHub();
  const toasts = placed("hub-toasts", await hub.client());
  await hub.arrives(notification(101, { title: "Down", severity: "critical" }));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(shown(toasts)).toEqual(["Down"]);
  const toast = toasts.shadowRoot?.querySelector(".toast");
  expect(toast?.getAttribute("role")).toBe("alert");
  toast?.querySelector<HTMLElement>(".close")?.click();
  expect(shown(toasts)).toEqual([]);
});

test("no more than three stand there, the latest ones", async () => {
  const hub = new PretendHub();
  const toasts = placed("hub-toasts", await hub.client());
  for (const n of [101, 102, 103, 104]) await hub.arrives(notification(n, { title: `T${n}` }));
  expect(shown(toasts)).toEqual(["T102", "T103", "T104"]);
});

test("what was missed is one toast with its count", async () => {
  const hub = new PretendHub();
  const toasts = placed("hub-toasts", await hub.client());
  await hub.says("connected", connected({ replayed: 2, recovered: true }));
  await hub.arrives(notification(101));
  await hub.arrives(notification(102));
  expect(shown(toasts)).toEqual([]);
  await vi.advanceTimersByTimeAsync(300);
  expect(shown(toasts)).toEqual(["2 notifications while you were away"]);
});
