/**
 * An inbox that shows what a person has just done before the hub has confirmed it: (confirmed, wishes) -> shown. A wish
 * that fails is taken away again, and everything that was heard meanwhile stays. Pure; knows no request.
 */
import { EMPTY, reduce } from "./store";
import type { Change, Inbox } from "./store";

export interface Wish {
  readonly key: number;
  readonly change: Change;
}

export interface Inboxes {
  /** As the hub has said. */
  readonly confirmed: Inbox;
  readonly wishes: readonly Wish[];
  /** The confirmed one with all wishes granted. */
  readonly shown: Inbox;
}

export const NONE: Inboxes = { confirmed: EMPTY, wishes: [], shown: EMPTY };

export function heard(inboxes: Inboxes, change: Change): Inboxes {
  const confirmed = reduce(inboxes.confirmed, change);
  return confirmed === inboxes.confirmed ? inboxes : shown(confirmed, inboxes.wishes);
}

export function wished(inboxes: Inboxes, wish: Wish): Inboxes {
  return shown(inboxes.confirmed, [...inboxes.wishes, wish]);
}

/** The hub has answered: `said` is what it confirmed, nothing when it refused. */
export function settled(inboxes: Inboxes, key: number, said: readonly Change[]): Inboxes {
  const wishes = inboxes.wishes.filter((wish) => wish.key !== key);
  return shown(said.reduce(reduce, inboxes.confirmed), wishes);
}

function shown(confirmed: Inbox, wishes: readonly Wish[]): Inboxes {
  return { confirmed, wishes, shown: wishes.reduce((inbox, { change }) => reduce(inbox, change), confirmed) };
}
