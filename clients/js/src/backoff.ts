/**
 * How long to wait before the next attempt to connect: full jitter, so that clients that were cut together
 * do not come back together. Pure; knows no timer.
 */

export const LEAST_MS = 500;
export const MOST_MS = 20_000;

/** Milliseconds before attempt number `attempt` (0 is the first retry). `random` gives [0, 1). */
export function backoff(attempt: number, random: () => number): number {
  const ceiling = Math.min(MOST_MS, LEAST_MS * 2 ** (attempt + 1));
  return LEAST_MS + random() * (ceiling - LEAST_MS);
}
