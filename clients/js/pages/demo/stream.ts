/** Every event as it comes, newest on top, and the signals that are worth a line. */
import type { About, HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import type { Envelope, SignalName } from "../../src/protocol";
import { clock, find, make, prepend } from "../dom";

const MOST = 100;
const SIGNALS: SignalName[] = [
  "notification:read",
  "notification:read_all",
  "sync:reset",
  "auth:expiring",
  "server:draining",
  "session:closed",
  "error",
];

/** `pane` has the list and the text that stands there while it is empty. */
export function stream(hub: HubClient, pane: HTMLElement): Off[] {
  const [list, empty] = [find("stream", pane), find("stream-empty", pane)];
  const add = (row: HTMLElement): void => {
    [list.hidden, empty.hidden] = [false, true];
    prepend(list, row, MOST);
  };
  list.replaceChildren();
  [list.hidden, empty.hidden] = [true, false];
  return [
    hub.on("event", (envelope, about) => add(event(envelope, about))),
    ...SIGNALS.map((name) => hub.on(name, (payload: unknown) => add(signal(name, payload)))),
  ];
}

function event(envelope: Envelope, { replayed }: About): HTMLElement {
  return make(
    "li",
    {
      class: replayed ? "event replayed" : "event",
      "data-testid": "event",
      "data-id": envelope.id,
      "data-severity": envelope.severity,
    },
    make(
      "p",
      { class: "line" },
      make("code", { class: "type" }, envelope.type),
      replayed ? make("span", { class: "tag replay" }, "replayed") : null,
      clock(envelope.createdAt),
    ),
    envelope.title ? make("strong", {}, envelope.title) : null,
    envelope.message ? make("p", {}, envelope.message) : null,
    make("p", { class: "meta code" }, envelope.cursor ?? "volatile"),
  );
}

function signal(name: string, payload: unknown): HTMLElement {
  return make(
    "li",
    { class: "event signal", "data-testid": "signal" },
    make("p", { class: "line" }, make("code", { class: "type" }, name), clock(new Date().toISOString())),
    make("p", { class: "meta code" }, JSON.stringify(payload)),
  );
}
