import { act, createElement, StrictMode } from "react";
import type { ReactNode } from "react";
import { createRoot } from "react-dom/client";
import type { Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HubClient } from "../src/client";
import {
  HubProvider, useHub, useHubEvent, useNotifications, usePreferences, useSSE, useUnreadCount,
} from "../src/react";
import { notification } from "./samples";
import { PretendHub } from "./ui/pretend";

const OPTIONS = { url: "http://hub.test", getToken: () => "t", transport: "sse", share: false } as const;
let root: Root;
let page: HTMLElement;

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  page = document.createElement("div");
  root = createRoot(page);
});
afterEach(async () => {
  await act(async () => root.unmount());
  vi.unstubAllGlobals();
});

async function render(...children: ReactNode[]): Promise<void> {
  const provider = createElement(HubProvider, { options: OPTIONS }, ...children);
  await act(async () => root.render(createElement(StrictMode, null, provider)));
}
/** Until the page says it. */
async function shows(text: string): Promise<void> {
  await vi.waitFor(async () => {
    await act(async () => {});
    expect(page.textContent).toBe(text);
  });
}

function Bell(): ReactNode {
  const { notifications, unreadCount, isLoaded } = useNotifications();
  const { isConnected, connection } = useHub();
  const ids = notifications.map(({ id, read }) => (read ? id : `${id}*`)).join(" ");
  return `${isConnected ? "online" : connection.status} ${isLoaded ? unreadCount : "-"} ${ids}`;
}

test("hooks show the live inbox, under StrictMode with one connection, which ends with the page", async () => {
  const hub = new PretendHub(notification(1));
  await render(createElement(Bell));
  await shows("online 1 n1*");
  expect(hub.streams).toBe(1);
  await act(() => hub.arrives(notification(2)));
  await shows("online 2 n2* n1*");
  await act(async () => root.render(null));
  await vi.waitFor(() => expect(hub.streams).toBe(0));
});

test("an action shows at once, and is thrown and taken back when the hub refuses", async () => {
  const hub = new PretendHub(notification(1));
  hub.answers["PATCH /notifications/n1/read"] = 503;
  let read = (): Promise<unknown> => Promise.resolve();
  function Act(): ReactNode {
    const { actions } = useNotifications();
    read = () => actions.read("n1");
    return null;
  }
  await render(createElement(Bell), createElement(Act));
  await shows("online 1 n1*");
  let reading: Promise<unknown> = Promise.resolve();
  act(() => {
    reading = read();
    reading.catch(() => {});
  });
  expect(page.textContent).toBe("online 0 n1");
  await act(() => expect(reading).rejects.toMatchObject({ status: 503 }));
  await shows("online 1 n1*");
});

test("a count renders again only when it changes, and a listener is the one of the last render", async () => {
  const hub = new PretendHub(notification(1));
  let renders = 0;
  const heard: string[] = [];
  function Count({ name }: { name: string }): ReactNode {
    renders += 1;
    useHubEvent("notification", ({ id }) => heard.push(`${name} ${id}`));
    return useUnreadCount();
  }
  await render(createElement(Count, { name: "old" }));
  await shows("1");
  await render(createElement(Count, { name: "new" }));
  const before = renders;
  await act(() => hub.arrives(notification(2, { read: true })));
  expect(heard).toEqual(["new n2"]);
  expect(renders).toBe(before);
});

test("preferences come, change here, and change elsewhere", async () => {
  const hub = new PretendHub();
  let turnOn = (): Promise<void> => Promise.resolve();
  function Sms(): ReactNode {
    const { preferences, update, error } = usePreferences();
    turnOn = () => update({ sms: true });
    return error ? "error" : preferences ? String(preferences.sms) : "";
  }
  await render(createElement(Bell), createElement(Sms));
  await shows("online 0 false");
  await act(() => turnOn());
  await shows("online 0 true");
  await act(() => hub.says("preferences:updated", { ...hub.preferences, sms: false }));
  await shows("online 0 false");
  hub.answers["PATCH /notifications/preferences"] = 422;
  await act(async () => void (await turnOn().catch(() => {})));
  await shows("online 0 error");
});

test("one stream by itself takes the provider's hub, is closed when it is not enabled, and with the page", async () => {
  const hub = new PretendHub();
  hub.paths.add("/sse/bookings");
  const heard: unknown[] = [];
  function Bookings({ enabled }: { enabled: boolean }): ReactNode {
    useSSE({ endpoint: "/sse/bookings", enabled, onMessage: (data, name) => heard.push([name, data]) });
    return null;
  }
  await render(createElement(Bookings, { enabled: true }));
  await vi.waitFor(() => expect(hub.streams).toBe(2));
  await act(() => hub.says("message", { n: 1 }));
  expect(heard.at(-1)).toEqual(["message", { n: 1 }]);
  await render(createElement(Bookings, { enabled: false }));
  await vi.waitFor(() => expect(hub.streams).toBe(1));
  await render(createElement(Bookings, { enabled: true }));
  await vi.waitFor(() => expect(hub.streams).toBe(2));
  await act(async () => root.render(null));
  await vi.waitFor(() => expect(hub.streams).toBe(0));
});

test("a server renders an empty, idle page and asks for nothing", () => {
  const fetched = vi.fn();
  vi.stubGlobal("fetch", fetched);
  const html = renderToString(createElement(HubProvider, { options: OPTIONS }, createElement(Bell)));
  expect(html).toBe("idle - ");
  expect(fetched).not.toHaveBeenCalled();
});

test("a client of one's own is one's own to connect; without a provider a hook says so", async () => {
  const client = new HubClient(OPTIONS);
  const connect = vi.spyOn(client, "connect");
  await act(async () => root.render(createElement(HubProvider, { client }, createElement(Bell))));
  expect([page.textContent, connect.mock.calls.length]).toEqual(["idle - ", 0]);
  expect(() => renderToString(createElement(Bell))).toThrow("HubProvider");
});
