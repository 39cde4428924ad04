/**
 * The Socket.IO transport: stock socket.io-client, without its reconnection (the line has one for all
 * transports), over whatever transport of Engine.IO it is given. Asks for events under their own names, so each one
 * comes once.
 */
import { Manager } from "socket.io-client";
import type { ManagerOptions } from "socket.io-client";
import { HubError } from "./errors";
import type { Destination, Sink, Transport } from "./transport";

const ANSWER_MS = 10_000;

/** A transport of Engine.IO's. Named one by one: the others are not even loaded. */
export type Over = Extract<NonNullable<ManagerOptions["transports"]>[number], new (...args: never[]) => unknown>;

interface Refused {
  code: string;
  message: string;
  retryAfter?: number;
}

export function openSocket(to: Destination, sink: Sink, over: Over): Transport {
  const { token, cursor, types, rooms } = to;
  const manager = new Manager(to.url || location.origin, {
    transports: [over],
    withCredentials: !token,
    reconnection: false,
    autoConnect: false,
  });
  const socket = manager.socket("/", {
    auth: {
      events: "typed",
      ...(token && { token }),
      ...(cursor && { cursor }),
      ...(types.length > 0 && { types }),
      ...(rooms.length > 0 && { rooms }),
    },
  });
  socket.onAny((name: string, ...args: unknown[]) => sink.message(name, args[args.length - 1]));
  socket.on("disconnect", (reason) => sink.closed({ reason }));
  socket.on("connect_error", (error: Error & { data?: Partial<Refused> }) => {
    const { code, retryAfter } = error.data ?? {};
    const denied = !socket.active; // still active when it was the network that failed
    socket.disconnect();
    sink.closed({
      reason: error.message,
      refused: denied && retryAfter === undefined,
      ...(code && { code }),
      ...(retryAfter !== undefined && { retryAfterMs: retryAfter * 1000 }),
    });
  });
  socket.connect();
  return {
    close() {
      socket.off();
      socket.offAny();
      socket.disconnect();
    },
    tell: (event, data) => void socket.emit(event, data),
    async request(event, data) {
      let answer: unknown;
      try {
        answer = await socket.timeout(ANSWER_MS).emitWithAck(event, data);
      } catch (fault) {
        throw new HubError(String(fault), "unreachable");
      }
      const { code, message, retryAfter } = (answer ?? {}) as Partial<Refused>;
      if (code !== undefined && message !== undefined) throw new HubError(message, code, 0, retryAfter ?? null);
      return answer;
    },
  };
}
