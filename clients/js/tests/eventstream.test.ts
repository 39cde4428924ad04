import { expect, test } from "vitest";
import { EventStreamParser } from "../src/eventstream";
import type { StreamEvent } from "../src/eventstream";

function parse(...pieces: string[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = new EventStreamParser((event) => events.push(event));
  for (const piece of pieces) parser.push(piece);
  return events;
}

const STREAM = 'retry: 2000\n\nid: e1:7\nevent: booking.created\ndata: {"a":\ndata: 1}\n\n:keep-alive\n\ndata:x\n\n';
const EXPECTED = [
  { name: "booking.created", data: '{"a":\n1}', id: "e1:7" },
  { name: "message", data: "x", id: "e1:7" },
];

test("an event has a name, its lines of data, and the last id that was seen", () => {
  expect(parse(STREAM)).toEqual(EXPECTED);
});

test.each(["\n", "\r\n", "\r"])("line ends of %j may be cut anywhere", (end) => {
  const stream = STREAM.replaceAll("\n", end);
  expect(parse(stream)).toEqual(EXPECTED);
  expect(parse(...stream)).toEqual(EXPECTED);
});

test("comments, unknown fields and events without data are nothing", () => {
  expect(parse(":hello\n\nevent: a\n\nfoo: bar\n\n")).toEqual([]);
});

test("an id with a null character is ignored", () => {
  expect(parse("id: a\ndata: 1\n\nid: b\0\ndata: 2\n\n").map((event) => event.id)).toEqual(["a", "a"]);
});

test("what has no empty line after it yet is kept back", () => {
  expect(parse("data: 1\n")).toEqual([]);
  expect(parse("data: 1\n", "\n")).toHaveLength(1);
});
