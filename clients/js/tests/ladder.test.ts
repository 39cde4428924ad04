import { expect, test } from "vitest";
import { Ladder, PROBE_MOST_MS, PROBE_MS } from "../src/ladder";

test("each transport has two tries, and after the last one comes the first", () => {
  const ladder = new Ladder("auto");
  const tried = Array.from({ length: 8 }, () => {
    const { rung } = ladder;
    ladder.failed();
    return rung;
  });
  expect(tried).toEqual(["socketio", "socketio", "sse", "sse", "polling", "polling", "socketio", "socketio"]);
});

test("one failure after a connection that lasted is the first one again", () => {
  const ladder = new Ladder("auto");
  ladder.failed();
  ladder.reached("socketio");
  ladder.lasted();
  ladder.failed();
  expect(ladder.rung).toBe("socketio");
  ladder.failed();
  expect(ladder.rung).toBe("sse");
});

test("a connection that never lasts counts as one that does not carry", () => {
  const ladder = new Ladder("auto");
  for (let time = 0; time < 2; time += 1) {
    ladder.reached("socketio");
    ladder.failed();
  }
  expect(ladder.rung).toBe("sse");
});

test("from a lower rung the best is tried again, more and more rarely, and not from itself", () => {
  const ladder = new Ladder("auto");
  expect(ladder.probe()).toBeNull();
  ladder.reached("sse");
  expect([ladder.probe(), ladder.probe()]).toEqual([PROBE_MS, 2 * PROBE_MS]);
  expect(Array.from({ length: 9 }, () => ladder.probe()).pop()).toBe(PROBE_MOST_MS);
  ladder.reached("socketio");
  ladder.reached("sse");
  expect(ladder.probe()).toBe(PROBE_MS);
});

test("a transport that was chosen is kept", () => {
  const ladder = new Ladder("sse");
  for (let time = 0; time < 5; time += 1) ladder.failed();
  expect([ladder.rung, ladder.probe()]).toEqual(["sse", null]);
});
