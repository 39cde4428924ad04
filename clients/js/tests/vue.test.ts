import { afterEach, expect, test, vi } from "vitest";
import { createApp, createSSRApp, defineComponent, h, nextTick } from "vue";
import type { App } from "vue";
import { renderToString } from "vue/server-renderer";
import { HubClient } from "../src/client";
import type { HubOptions } from "../src/client";
import { hubPlugin, useNotifications } from "../src/vue";
import type { NotificationsState } from "../src/vue";
import { notification } from "./samples";
import { PretendHub } from "./ui/pretend";

const OPTIONS: HubOptions = { url: "http://hub.test", getToken: () => "t", transport: "sse", share: false };
let app: App | null = null;
let state: NotificationsState;

afterEach(() => {
  app?.unmount();
  app = null;
  vi.unstubAllGlobals();
});

const Bell = defineComponent({
  props: { options: { type: Object, default: undefined } },
  setup(props) {
    state = useNotifications(props.options);
    const { notifications, unreadCount, connection } = state;
    return () => h("p", `${connection.value.status} ${unreadCount.value} ${notifications.value.map(({ id }) => id).join(" ")}`);
  },
});

function mounted(made: App): HTMLElement {
  app = made;
  const page = document.createElement("div");
  made.mount(page);
  return page;
}
const shows = (page: HTMLElement, text: string): Promise<void> =>
  vi.waitFor(async () => {
    await nextTick();
    expect(page.textContent).toBe(text);
  });

test("a component with options of its own is live from the page on, and leaves with it", async () => {
  const hub = new PretendHub(notification(1));
  const page = mounted(createApp(Bell, { options: OPTIONS }));
  await shows(page, "online 1 n1");
  await hub.arrives(notification(2));
  await shows(page, "online 2 n2 n1");
  await state.markAsRead("n1");
  await shows(page, "online 1 n2 n1");
  app?.unmount();
  app = null;
  await vi.waitFor(() => expect(hub.streams).toBe(0));
});

test("it is cut and connected by hand", async () => {
  const hub = new PretendHub();
  const page = mounted(createApp(Bell, { options: OPTIONS }));
  await shows(page, "online 0 ");
  expect(state.isConnected.value).toBe(true);
  state.disconnectRealtime();
  await shows(page, "idle 0 ");
  expect([state.isConnected.value, hub.streams]).toEqual([false, 0]);
  state.connectRealtime();
  await shows(page, "online 0 ");
});

test("the app's client is shared, and nobody's to cut", async () => {
  const hub = new PretendHub(notification(1));
  const client = await hub.client();
  const page = mounted(createApp(Bell).use(hubPlugin, client));
  await shows(page, "online 1 n1");
  expect(state.client).toBe(client);
  app?.unmount();
  app = null;
  expect(client.connection.status).toBe("online");
  client.disconnect();
});

test("a server renders it idle and asks for nothing", async () => {
  const fetched = vi.fn();
  vi.stubGlobal("fetch", fetched);
  const client = new HubClient(OPTIONS);
  const html = [
    await renderToString(createSSRApp(Bell, { options: OPTIONS })),
    await renderToString(createSSRApp(Bell).use(hubPlugin, client)),
  ];
  expect(html).toEqual(["<p>idle 0 </p>", "<p>idle 0 </p>"]);
  expect(fetched).not.toHaveBeenCalled();
});

test("without a client from anywhere it says so", () => {
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  expect(() => createApp(Bell).mount(document.createElement("div"))).toThrow("hubPlugin");
  warned.mockRestore();
});
