/**
 * The demo page: one hotel and two of its people side by side, each with a connection of its own. The choices stand
 * in the address, so that a second window can be other people.
 */
import "../../src/ui";
import { find, make, reason } from "../dom";
import { hotels } from "./api";
import type { Hotel } from "./api";
import { booking, offerGuests } from "./booking";
import { Pane } from "./pane";

const SIDES = [
  { side: "left", user: "user", transport: "transport" },
  { side: "right", user: "other", transport: "otherTransport" },
] as const;
const tenant = find<HTMLSelectElement>("tenant");
const address = new URLSearchParams(location.search);

function remember(name: string, value: string): void {
  address.set(name, value);
  history.replaceState(null, "", `?${address}`);
}

function chosen<T extends { id: string }>(choices: T[], id: string | null): T {
  const found = choices.find((choice) => choice.id === id) ?? choices[0];
  if (!found) throw new Error("there is nobody to choose");
  return found;
}

function enter(hotel: Hotel, panes: Pane[]): void {
  remember("tenant", hotel.id);
  offerGuests(hotel);
  SIDES.forEach(({ user }, at) => panes[at]?.enter(hotel, address.get(user)));
}

async function start(): Promise<void> {
  const all = await hotels();
  const hotel = (): Hotel => chosen(all, tenant.value);
  tenant.replaceChildren(...all.map(({ id, name }) => make("option", { value: id }, name)));
  tenant.value = chosen(all, address.get("tenant")).id;
  const panes = SIDES.map(({ side, user, transport }, at) => {
    const pane = new Pane(side, address.get(transport), {
      optional: at > 0,
      became: (id) => remember(user, id),
      switched: (name) => remember(transport, name),
    });
    find("panes").append(pane.root);
    return pane;
  });
  tenant.addEventListener("change", () => enter(hotel(), panes));
  booking(hotel);
  enter(hotel(), panes);
}

start().catch((fault: unknown) => {
  const notice = find("notice");
  notice.hidden = false;
  notice.textContent = `The demo cannot start: ${reason(fault)}. It needs a hub that runs in development.`;
});
