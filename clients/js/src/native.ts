/**
 * Server-Sent Events by the browser's own EventSource, for browsers whose fetch cannot be read as it comes. It can set no
 * header, so each opening spends a ticket; it hears only names that were listed, so it listens to all the hub registers
 * and to those this page has asked for. Keep-alives are invisible to it: a dead line is only noticed by what TCP notices.
 */
import type { Ticket } from "./generated";
import { HubError } from "./errors";
import { NAMES } from "./names";
import { Rest } from "./rest";
import { pathOf } from "./sse";
import type { Destination, Sink, Transport } from "./transport";

export function openNative(to: Destination, sink: Sink, names: Iterable<string> = []): Transport {
  let source: EventSource | null = null;
  let closed = false;
  const end = (closing: Parameters<Sink["closed"]>[0]): void => {
    if (closed) return;
    closed = true;
    source?.close();
    sink.closed(closing);
  };
  const open = (ticket: string | null): void => {
    if (closed) return;
    const path = pathOf(to);
    const sign = ticket ? `${path.includes("?") ? "&" : "?"}ticket=${encodeURIComponent(ticket)}` : "";
    source = new EventSource(to.url + path + sign, { withCredentials: !ticket });
    for (const name of new Set([...NAMES, ...names])) {
      source.addEventListener(name, (event) => {
        if (!closed) sink.message(name, JSON.parse((event as MessageEvent<string>).data));
      });
    }
    source.onopen = () => sink.alive();
    // Its own coming back would show a spent ticket.
    source.onerror = () => end({ reason: "the stream broke" });
  };
  const ticket = async (): Promise<string | null> => {
    if (!to.token) return null;
    const { body } = await new Rest(to.url, () => to.token).send<Ticket>("POST", "/auth/ticket");
    return body.ticket;
  };
  ticket().then(open, (fault: HubError) =>
    end({ reason: fault.message, code: fault.code, refused: fault.status === 401 || fault.status === 403 }),
  );
  return {
    close() {
      closed = true;
      source?.close();
    },
  };
}
