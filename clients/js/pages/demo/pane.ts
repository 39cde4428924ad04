/**
 * One person in front of a screen: who it is, how the line to the hub stands, the buttons that cut and restore it, and
 * what arrives. Choosing somebody else makes a new client.
 */
import { HubClient } from "../../src/client";
import type { Connection } from "../../src/link";
import type { Off } from "../../src/emitter";
import type { TransportName } from "../../src/transport";
import type { HubElement } from "../../src/ui/element";
import { find, make } from "../dom";
import type { Hotel, Person } from "./api";
import { deliveries, forgetDeliveries } from "./deliveries";
import { outbox } from "./outbox";
import { stream } from "./stream";

const TRANSPORTS: Record<TransportName, string> = { socketio: "Socket.IO", sse: "Server-Sent Events", polling: "HTTP polling" };
const NOBODY = "nobody";
/** What the types of the demo are called in the settings. */
const LABELS = {
  "booking.created": "New bookings",
  "booking.confirmed": "Confirmations",
  "booking.cancelled": "Cancellations",
  "checkin.reminder": "Reminders",
  "payment.received": "Payments",
};

export interface PaneRules {
  /** Whether nobody may sit here. */
  optional: boolean;
  became(id: string): void;
  switched(transport: string): void;
}

export class Pane {
  readonly root: HTMLElement;
  readonly #rules: PaneRules;
  readonly #user: HTMLSelectElement;
  readonly #transport: HTMLElement;
  readonly #elements: HubElement[];
  #people: Person[] = [];
  #client: HubClient | null = null;
  #offs: Off[] = [];

  constructor(side: string, transport: string | null, rules: PaneRules) {
    this.#rules = rules;
    const template = find<HTMLTemplateElement>("pane");
    this.root = document.importNode(template.content, true).firstElementChild as HTMLElement;
    this.root.dataset.testid = side;
    this.#user = find<HTMLSelectElement>("user", this.root);
    this.#transport = find("transport", this.root);
    this.#elements = [...this.root.querySelectorAll<HubElement>("hub-bell, hub-toasts, hub-inbox, hub-presence, hub-preferences")];
    const narrow = matchMedia("(max-width: 1000px)").matches;
    this.root.querySelector("hub-toasts")?.setAttribute("limit", narrow ? "1" : "3");
    const view = find("view", this.root);
    for (const [group, box] of Object.entries({ transport: this.#transport, view })) {
      for (const input of box.querySelectorAll("input")) {
        input.name = `${side}-${group}`;
        if (group === "transport") input.checked = input.value === (transport ?? "socketio");
      }
    }
    this.#user.addEventListener("change", () => this.#become(this.#user.value));
    this.#transport.addEventListener("change", () => {
      rules.switched(this.#chosenTransport);
      this.#client?.switchTo(this.#chosenTransport);
    });
    view.addEventListener("change", (event) => {
      this.root.dataset.view = (event.target as HTMLInputElement).value;
    });
    find("cut", this.root).addEventListener("click", () => this.#client?.disconnect());
    find("restore", this.root).addEventListener("click", () => this.#client?.connect());
  }

  /** The people of this hotel; the one with this id, or the first that suits, sits down. */
  enter(hotel: Hotel, id: string | null): void {
    this.#people = hotel.users;
    for (const presence of this.root.querySelectorAll("hub-presence")) {
      presence.names = Object.fromEntries(hotel.users.map(({ id: one, name }) => [one, name]));
    }
    for (const preferences of this.root.querySelectorAll("hub-preferences")) preferences.labels = LABELS;
    const options = hotel.users.map((person) => make("option", { value: person.id }, `${person.name} (${person.role})`));
    if (this.#rules.optional) options.push(make("option", { value: NOBODY }, "Nobody"));
    this.#user.replaceChildren(...options);
    const fallback = hotel.users[this.#rules.optional ? 1 : 0];
    const known = hotel.users.some((person) => person.id === id) || (this.#rules.optional && id === NOBODY);
    this.#become(known && id ? id : (fallback?.id ?? NOBODY));
  }

  #become(id: string): void {
    this.#client?.disconnect();
    for (const off of this.#offs) off();
    forgetDeliveries();
    this.#user.value = id;
    this.#rules.became(id);
    const person = this.#people.find((one) => one.id === id);
    this.root.classList.toggle("vacant", !person);
    find("avatar", this.root).textContent = person ? initials(person.name) : "";
    const client = person ? new HubClient({ getToken: () => person.token, transport: this.#chosenTransport, share: false }) : null;
    this.#client = client;
    for (const element of this.#elements) element.client = client;
    this.#offs = [];
    if (!client) return;
    this.#offs = [
      client.on("connection", (connection) => this.#show(connection)),
      ...stream(client, this.root),
      ...deliveries(client),
      ...outbox(client),
    ];
    this.#show(client.connection);
    client.connect();
  }

  get #chosenTransport(): TransportName {
    return this.#transport.querySelector<HTMLInputElement>("input:checked")?.value as TransportName;
  }

  #show(connection: Connection): void {
    const { status, transport, cursor, connected } = connection;
    const state = find("state", this.root);
    state.textContent = words(connection);
    state.dataset.status = status;
    const put = (name: string, text: string): void => void (find(name, this.root).textContent = text);
    put("via", TRANSPORTS[transport]);
    put("cursor", cursor ?? "none yet");
    put("recovered", connected?.recovered ? "yes" : `no${because(connected?.recoveryReason)}`);
    put("replayed", String(connected?.replayed ?? 0));
    const rooms = (connected?.rooms ?? []).filter((room) => !room.startsWith("session:"));
    find("rooms", this.root).replaceChildren(...rooms.map((room) => make("code", {}, room)));
    const away = status === "idle" || status === "refused";
    find("cut", this.root).hidden = away;
    find("restore", this.root).hidden = !away;
  }
}

function words({ status, reason, retryInMs }: Connection): string {
  switch (status) {
    case "idle":
      return "Cut";
    case "connecting":
      return "Connecting";
    case "online":
      return "Online";
    case "waiting":
      return `Lost; again in ${((retryInMs ?? 0) / 1000).toFixed(1)} s`;
    case "refused":
      return `Refused${because(reason)}`;
  }
}

function because(text: string | null | undefined): string {
  return text ? `: ${text}` : "";
}

function initials(name: string): string {
  const parts = name.split(" ");
  return parts.filter((part) => /^\p{Lu}/u.test(part)).map((part) => part[0]).join("").slice(0, 2);
}
