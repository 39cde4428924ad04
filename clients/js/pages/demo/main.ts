/**
 * The demo page: one hotel, one person, one connection, and every panel fed from it. Choosing somebody else
 * makes a new client. The choice stands in the address, so that a second window can be somebody else.
 */
import { HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import type { TransportName } from "../../src/transport";
import { hotels } from "./api";
import type { Hotel, Person } from "./api";
import { bell } from "./bell";
import { booking, offerGuests } from "./booking";
import { connection } from "./connection";
import { deliveries } from "./deliveries";
import { find, make } from "./dom";
import { outbox } from "./outbox";
import { stream } from "./stream";
import { toasts } from "./toasts";

const PANELS = [connection, bell, stream, deliveries, outbox, toasts];
const [tenant, user] = [find<HTMLSelectElement>("tenant"), find<HTMLSelectElement>("user")];
const transport = find<HTMLFieldSetElement>("transport");
const address = new URLSearchParams(location.search);

let client: HubClient | null = null;
let offs: Off[] = [];

function become(hotel: Hotel, person: Person): void {
  client?.disconnect();
  for (const off of offs) off();
  const hub = new HubClient({ token: person.token, transport: chosenTransport() });
  client = hub;
  offs = PANELS.flatMap((panel) => panel(hub));
  hub.connect();
  address.set("tenant", hotel.id);
  address.set("user", person.id);
  remember();
}

function chosenTransport(): TransportName {
  return transport.querySelector<HTMLInputElement>("input:checked")?.value === "sse" ? "sse" : "socketio";
}

function remember(): void {
  history.replaceState(null, "", `?${address}`);
}

function chosen<T extends { id: string }>(choices: T[], id: string | null): T {
  const found = choices.find((choice) => choice.id === id) ?? choices[0];
  if (!found) throw new Error("there is nobody to choose");
  return found;
}

function enter(hotel: Hotel): void {
  user.replaceChildren(
    ...hotel.users.map(({ id, name, role }) => make("option", { value: id }, `${name} (${role})`)),
  );
  offerGuests(hotel);
  const person = chosen(hotel.users, address.get("user"));
  user.value = person.id;
  become(hotel, person);
}

async function start(): Promise<void> {
  const all = await hotels();
  const hotel = (): Hotel => chosen(all, tenant.value);
  tenant.replaceChildren(...all.map(({ id, name }) => make("option", { value: id }, name)));
  tenant.value = chosen(all, address.get("tenant")).id;
  for (const input of transport.querySelectorAll("input")) {
    input.checked = input.value === (address.get("transport") ?? "socketio");
  }
  tenant.addEventListener("change", () => enter(hotel()));
  user.addEventListener("change", () => become(hotel(), chosen(hotel().users, user.value)));
  transport.addEventListener("change", () => {
    address.set("transport", chosenTransport());
    remember();
    client?.switchTo(chosenTransport());
  });
  booking(hotel);
  enter(hotel());
}

start().catch((fault: unknown) => {
  const notice = find("notice");
  notice.hidden = false;
  const why = fault instanceof Error ? fault.message : String(fault);
  notice.textContent = `The demo cannot start: ${why}. It needs a hub that runs in development.`;
});
