/**
 * The service worker of web push: shows what the hub pushes, and opens where a click leads. Stands on the page's
 * own origin. Keeps nothing and fetches nothing.
 */
interface Pushed {
  id?: string;
  title?: string | null;
  message?: string | null;
  body?: string | null;
  link?: string | null;
  type?: string;
}

/** As much of a service worker's scope as is used here; the DOM's types know only windows. */
interface Scope {
  registration: ServiceWorkerRegistration;
  clients: {
    matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<readonly Tab[]>;
    openWindow(address: string): Promise<unknown>;
  };
  addEventListener(name: string, listener: (event: never) => void): void;
}
interface Tab {
  url: string;
  focus(): Promise<unknown>;
}
interface Extended {
  waitUntil(work: Promise<unknown>): void;
}

const scope = globalThis as unknown as Scope;

scope.addEventListener("push", (event: Extended & { data: { json(): unknown } | null }) => {
  const pushed = (event.data?.json() ?? {}) as Pushed;
  const title = pushed.title || pushed.type || "Notification";
  const options: NotificationOptions = {
    body: pushed.message ?? pushed.body ?? "",
    data: { link: pushed.link ?? null },
    ...(pushed.id && { tag: pushed.id }), // the same one again replaces the first
  };
  event.waitUntil(scope.registration.showNotification(title, options));
});

scope.addEventListener("notificationclick", (event: Extended & { notification: Notification }) => {
  event.notification.close();
  const { link } = (event.notification.data ?? {}) as { link?: string | null };
  event.waitUntil(open(link));
});

async function open(link: string | null | undefined): Promise<void> {
  const address = new URL(link ?? "/", location.origin);
  if (!/^https?:$/.test(address.protocol)) return;
  const tabs = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = tabs.find((tab) => tab.url === address.href) ?? (link ? undefined : tabs[0]);
  if (there) await there.focus();
  else await scope.clients.openWindow(address.href);
}
