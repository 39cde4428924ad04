/**
 * A Vue composable over the client. What it makes itself it connects when the component is on the page and leaves
 * with it; on a server nothing connects.
 */
import { computed, getCurrentInstance, getCurrentScope, inject, onMounted, onScopeDispose, shallowRef } from "vue";
import type { App, ComputedRef, InjectionKey, ShallowRef } from "vue";
import { HubClient } from "./client";
import type { HubOptions } from "./client";
import type { Connection } from "./link";
import type { Notification } from "./protocol";

const HUB: InjectionKey<HubClient> = Symbol("hub");

/** `app.use(hubPlugin, client)`: one client for all components. It is yours to connect. */
export const hubPlugin = {
  install(app: App, client: HubClient): void {
    app.provide(HUB, client);
  },
};

/** The client that the app provides. Throws when there is none. */
export function useHub(): HubClient {
  const client = inject(HUB, null);
  if (!client) throw new Error("the app provides no hub: app.use(hubPlugin, client)");
  return client;
}

export interface NotificationsState {
  client: HubClient;
  /** Newest first, live. */
  notifications: ComputedRef<readonly Notification[]>;
  unreadCount: ComputedRef<number>;
  connection: ShallowRef<Connection>;
  isConnected: ComputedRef<boolean>;
  connectRealtime: () => void;
  disconnectRealtime: () => void;
  /** Shown at once; taken back, and thrown, when the hub refuses. */
  markAsRead: (id: string) => Promise<Notification>;
  markAllAsRead: () => Promise<void>;
  archive: (id: string) => Promise<Notification>;
  remove: (id: string) => Promise<void>;
  /** The next older page. False: there is no more. */
  loadMore: () => Promise<boolean>;
}

/** With options a client of the component's own, else the one the app provides. */
export function useNotifications(given?: HubClient | HubOptions): NotificationsState {
  const own = given !== undefined && !(given instanceof HubClient);
  const client = own ? new HubClient(given) : (given ?? useHub());
  const inbox = shallowRef(client.inbox);
  const connection = shallowRef(client.connection);
  const offs = [
    client.on("inbox", (now) => void (inbox.value = now)),
    client.on("connection", (now) => void (connection.value = now)),
  ];
  if (own && getCurrentInstance()) onMounted(() => client.connect());
  if (getCurrentScope()) {
    onScopeDispose(() => {
      for (const off of offs) off();
      if (own) client.disconnect();
    });
  }
  return {
    client,
    notifications: computed(() => inbox.value.notifications),
    unreadCount: computed(() => inbox.value.unread),
    connection,
    isConnected: computed(() => connection.value.status === "online"),
    connectRealtime: () => client.connect(),
    disconnectRealtime: () => client.disconnect(),
    markAsRead: (id) => client.notifications.read(id),
    markAllAsRead: async () => void (await client.notifications.readAll()),
    archive: (id) => client.notifications.archive(id),
    remove: (id) => client.notifications.remove(id),
    loadMore: () => client.notifications.more(),
  };
}
