/** Which transport is opened how. What is not needed at first is loaded when it is. */
import { WebSocket } from "engine.io-client";
import { openSocket } from "./socket";
import type { Open, TransportName } from "./transport";

export async function openerOf(name: TransportName, names: () => Iterable<string>): Promise<Open> {
  if (name === "socketio") return (to, sink) => openSocket(to, sink, WebSocket);
  if (name === "polling") return (await import("./polling")).openPolling;
  const { canReadStreams, openStream } = await import("./sse");
  if (canReadStreams()) return openStream;
  const { openNative } = await import("./native");
  return (to, sink) => openNative(to, sink, names());
}
