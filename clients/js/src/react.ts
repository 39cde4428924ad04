/**
 * React hooks over the client. A provider connects when it is on the page and leaves with it, also under StrictMode, which
 * mounts twice; on a server nothing connects and every hook shows an empty, idle state.
 */
import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { ReactElement, ReactNode } from "react";
import { HubClient } from "./client";
import type { About, HubEvents, HubOptions } from "./client";
import type { Preferences, PreferencesChange } from "./generated";
import type { Connection } from "./link";
import type { Notifications } from "./notifications";
import type { Envelope, Notification } from "./protocol";
import type { GetToken } from "./rest";
import { openEventStream } from "./streams";
import type { Stream } from "./streams";
import type { Closing } from "./transport";

interface Provided {
  client: HubClient;
  options: HubOptions;
}

const Hub = createContext<Provided | null>(null);

export interface HubProviderProps {
  /** A client of your own: then it is yours to connect and to disconnect. */
  client?: HubClient;
  /** Or what to make one with; another `key` on the provider makes another one. */
  options?: HubOptions;
  children?: ReactNode;
}

export function HubProvider({ client, options = {}, children }: HubProviderProps): ReactElement {
  const [made] = useState(() => client ?? new HubClient(options));
  const used = client ?? made;
  useEffect(() => {
    if (client) return;
    used.connect();
    return () => used.disconnect();
  }, [client, used]);
  const provided = useMemo(() => ({ client: used, options }), [used]);
  return createElement(Hub.Provider, { value: provided }, children);
}

export interface HubState {
  client: HubClient;
  connection: Connection;
  isConnected: boolean;
}

/** The client and how its connection stands. Throws outside of a `HubProvider`. */
export function useHub(): HubState {
  const client = useClient();
  const connection = useChanging(client, "connection", () => client.connection);
  return { client, connection, isConnected: connection.status === "online" };
}

/** Calls `listener`, always the one of the last render, for every such event. */
export function useHubEvent<Name extends keyof HubEvents>(
  name: Name,
  listener: (heard: HubEvents[Name], about: About) => void,
): void;
export function useHubEvent(name: string, listener: (event: Envelope, about: About) => void): void;
export function useHubEvent(name: string, listener: (heard: never, about: About) => void): void {
  const client = useClient();
  const latest = useLatest(listener);
  useEffect(() => client.on(name, (event, about) => latest.current(event as never, about)), [client, name, latest]);
}

export interface NotificationsState {
  /** Newest first, live. */
  notifications: readonly Notification[];
  unreadCount: number;
  /** Whether the first page is there. */
  isLoaded: boolean;
  /** What can be done with them: `read`, `archive`, `readAll`, `more`, ... */
  actions: Notifications;
}

export function useNotifications(): NotificationsState {
  const client = useClient();
  const inbox = useChanging(client, "inbox", () => client.inbox);
  return {
    notifications: inbox.notifications,
    unreadCount: inbox.unread,
    isLoaded: inbox.loaded,
    actions: client.notifications,
  };
}

/** Renders again only when the count changes. */
export function useUnreadCount(): number {
  const client = useClient();
  return useChanging(client, "inbox", () => client.inbox.unread);
}

export interface PreferencesState {
  /** Null until they are there. */
  preferences: Preferences | null;
  error: unknown;
  /** What the hub refuses is thrown. */
  update: (change: PreferencesChange) => Promise<void>;
}

export function usePreferences(): PreferencesState {
  const client = useClient();
  const [preferences, setPreferences] = useState<Preferences | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let gone = false;
    const off = client.on("preferences:updated", setPreferences);
    client.preferences.get().then(
      (known) => !gone && setPreferences(known),
      (fault: unknown) => !gone && setError(fault),
    );
    return () => {
      gone = true;
      off();
    };
  }, [client]);
  const update = useCallback(
    async (change: PreferencesChange) => {
      try {
        setPreferences(await client.preferences.update(change));
        setError(null);
      } catch (fault) {
        setError(fault);
        throw fault;
      }
    },
    [client],
  );
  return { preferences, error, update };
}

export interface UseSSEOptions {
  /** A path of the hub: `/sse/bookings`. */
  endpoint: string;
  /** What a message carries; its name where the stream has names. */
  onMessage?: (data: never, name: string) => void;
  onError?: (closing: Closing) => void;
  enabled?: boolean;
  /** Without a `HubProvider` around: where the hub is and who this is. */
  url?: string;
  getToken?: GetToken;
}

export interface SSEState {
  close: () => void;
  reconnect: () => void;
}

/** One stream of its own, which comes back by itself; of the provider's hub, or without one. */
export function useSSE({ endpoint, onMessage, onError, enabled = true, url, getToken }: UseSSEOptions): SSEState {
  const options = useContext(Hub)?.options;
  const stream = useRef<Stream | null>(null);
  const latest = useLatest({ onMessage, onError, getToken: getToken ?? options?.getToken });
  const origin = url ?? options?.url;
  useEffect(() => {
    if (!enabled) return;
    const opened = openEventStream({
      endpoint,
      ...(origin !== undefined && { url: origin.replace(/\/$/, "") }),
      getToken: () => latest.current.getToken?.() ?? null,
      onMessage: (data, name) => latest.current.onMessage?.(data as never, name),
      onError: (closing) => latest.current.onError?.(closing),
    });
    stream.current = opened;
    return () => opened.close();
  }, [endpoint, enabled, origin, latest]);
  return useMemo(
    () => ({ close: () => stream.current?.close(), reconnect: () => stream.current?.reconnect() }),
    [],
  );
}

function useClient(): HubClient {
  const provided = useContext(Hub);
  if (!provided) throw new Error("there is no HubProvider around this component");
  return provided.client;
}

/** A value of the client that changes with `name`. */
function useChanging<Value>(client: HubClient, name: "connection" | "inbox", read: () => Value): Value {
  const listen = useCallback((changed: () => void) => client.on(name, changed), [client, name]);
  return useSyncExternalStore(listen, read, read);
}

/** A box with the value of the last render, for what outlives it. */
function useLatest<Value>(value: Value): { readonly current: Value } {
  const box = useRef(value);
  useEffect(() => {
    box.current = value;
  });
  return box;
}
