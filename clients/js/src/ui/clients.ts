/**
 * One client for all elements of a page that name the same hub and token. It connects when the first of them
 * arrives and leaves when the last one has gone. Knows no element.
 */
import { HubClient } from "../client";

interface Shared {
  client: HubClient;
  users: number;
}

const SHARED = new Map<string, Shared>();
const WAITING = new Set<() => void>();
let provided: HubClient | null = null;

/** The client of all elements of the page that are given none of their own; null takes it back. */
export function provideClient(client: HubClient | null): void {
  provided = client;
  for (const look of WAITING) look();
}

export function providedClient(): HubClient | null {
  return provided;
}

/** Calls `look` whenever the page's client is another one. */
export function whenProvided(look: () => void): () => void {
  WAITING.add(look);
  return () => WAITING.delete(look);
}

/** The client for these attributes, and how to say that it is not needed any more. */
export function share(url: string, token: string): [HubClient, () => void] {
  const key = `${url} ${token}`;
  const shared = SHARED.get(key) ?? { client: new HubClient({ url, getToken: () => token }), users: 0 };
  SHARED.set(key, shared);
  shared.users += 1;
  shared.client.connect();
  // An element that is only moved leaves and arrives at once.
  const look = (): void => {
    if (shared.users > 0 || SHARED.get(key) !== shared) return;
    SHARED.delete(key);
    shared.client.disconnect();
  };
  let held = true;
  return [
    shared.client,
    () => {
      if (held) shared.users -= 1;
      held = false;
      setTimeout(look);
    },
  ];
}
