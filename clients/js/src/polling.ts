/** Socket.IO over HTTP long polling: the last resort, where neither a WebSocket nor a stream comes through. */
import { XHR } from "engine.io-client";
import { openSocket } from "./socket";
import type { Destination, Sink, Transport } from "./transport";

export function openPolling(to: Destination, sink: Sink): Transport {
  return openSocket(to, sink, XHR);
}
