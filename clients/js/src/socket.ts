/**
 * The Socket.IO transport: stock socket.io-client, without its reconnection (the client has one for all
 * transports). Asks for events under their own names, so each one comes once.
 */
import { io } from "socket.io-client";
import type { Destination, Sink, Transport } from "./transport";

export function openSocket(to: Destination, sink: Sink): Transport {
  const { token, cursor, types } = to;
  const socket = io(to.url || window.location.origin, {
    auth: { token, events: "typed", ...(cursor && { cursor }), ...(types.length > 0 && { types }) },
    forceNew: true,
    reconnection: false,
  });
  socket.onAny((name: string, ...args: unknown[]) => sink.message(name, args.at(-1)));
  socket.on("disconnect", (reason) => sink.closed({ reason }));
  socket.on("connect_error", (error: Error & { data?: { retryAfter?: number } }) => {
    const retryAfter = error.data?.retryAfter;
    const denied = !socket.active; // still active when it was the network that failed
    socket.disconnect();
    sink.closed({
      reason: error.message,
      refused: denied && retryAfter === undefined,
      ...(retryAfter !== undefined && { retryAfterMs: retryAfter * 1000 }),
    });
  });
  return {
    close() {
      socket.off();
      socket.offAny();
      socket.disconnect();
    },
  };
}
