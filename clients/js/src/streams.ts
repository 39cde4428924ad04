/**
 * One stream of Server-Sent Events, without the rest of the client: it comes back by itself at the place where it was,
 * on any of the hub's paths. Knows no inbox and no signals.
 */
import { backoff } from "./backoff";
import { later } from "./protocol";
import type { GetToken } from "./rest";
import { query } from "./rest";
import { readStream } from "./sse";
import type { Reading } from "./sse";
import type { Closing } from "./transport";

export interface StreamOptions {
  /** A path of the hub (`/sse/bookings`), with its query if it has one. */
  endpoint: string;
  /** Origin of the hub; default: the page's own. */
  url?: string;
  getToken?: GetToken;
  /** Where an earlier stream stopped. */
  cursor?: string | null;
  /** What a message carries, as JSON says it; its name where the stream has names. */
  onMessage?: (data: unknown, name: string) => void;
  onOpen?: () => void;
  /** The stream broke and comes back, or, when `closing.refused`, does not. */
  onError?: (closing: Closing) => void;
}

export interface Stream {
  close(): void;
  /** Now, instead of after the pause; also after a refusal. */
  reconnect(): void;
}

/** Longer than the hub may be silent, so that a dead line is noticed. */
const SILENCE_MS = 75_000;

export function openEventStream(options: StreamOptions): Stream {
  const { endpoint, url = "", getToken = () => null, onMessage, onOpen, onError } = options;
  let reading: Reading | null = null;
  let [timer, watchdog]: (ReturnType<typeof setTimeout> | undefined)[] = [];
  let cursor = options.cursor ?? null;
  let attempt = 0;
  let turn = 0;

  const stop = (): void => {
    turn += 1;
    reading?.close();
    reading = null;
    clearTimeout(timer);
    clearTimeout(watchdog);
  };
  const lost = (closing: Closing): void => {
    stop();
    onError?.(closing);
    if (closing.refused) return;
    timer = setTimeout(() => void open(), closing.retryAfterMs ?? backoff(attempt++, Math.random));
  };
  const alive = (): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => lost({ reason: "no sign of life" }), SILENCE_MS);
  };
  const open = async (): Promise<void> => {
    stop();
    const mine = turn;
    const token = await Promise.resolve(getToken()).catch((fault: unknown) => {
      if (mine === turn) lost({ reason: String(fault) });
    });
    if (mine !== turn || token === undefined) return;
    alive();
    const place = query({ lastEventId: cursor });
    const address = url + endpoint + (endpoint.includes("?") ? place.replace("?", "&") : place);
    reading = readStream(address, token, {
      event(name, data, id) {
        cursor = later(cursor, id);
        onMessage?.(JSON.parse(data), name);
      },
      open() {
        attempt = 0;
        onOpen?.();
      },
      alive,
      closed: lost,
    });
  };

  void open();
  return { close: stop, reconnect: () => void open() };
}
