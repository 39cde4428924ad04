import { expect, test } from "vitest";
import { backoff, LEAST_MS, MOST_MS } from "../src/backoff";

test("the first retry waits between half a second and a second", () => {
  expect(backoff(0, () => 0)).toBe(500);
  expect(backoff(0, () => 1)).toBe(1000);
});

test("the longest possible wait doubles until it is twenty seconds", () => {
  const ceilings = Array.from({ length: 8 }, (_, attempt) => backoff(attempt, () => 1));
  expect(ceilings).toEqual([1000, 2000, 4000, 8000, 16_000, 20_000, 20_000, 20_000]);
});

test("no number of attempts leaves the bounds", () => {
  for (const attempt of [0, 5, 50, 5000]) {
    for (const random of [0, 0.3, 0.999]) {
      const wait = backoff(attempt, () => random);
      expect(wait).toBeGreaterThanOrEqual(LEAST_MS);
      expect(wait).toBeLessThanOrEqual(MOST_MS);
    }
  }
});

test("clients that were cut together come back spread over the whole window", () => {
  expect(backoff(3, () => 0.5)).toBe(500 + 0.5 * 7500);
});
