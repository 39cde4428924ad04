/** What a real hub said, as the Python tests have recorded it and hold it against today's. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const WIRE = join(import.meta.dirname, "..", "..", "..", "tests", "fixtures", "wire");
const recorded = (name: string): unknown => JSON.parse(readFileSync(join(WIRE, `${name}.json`), "utf8"));

/** A message: its name, and its last argument. */
export function said<Payload>(name: string): [string, Payload] {
  const { event, args } = recorded(name) as { event: string; args: unknown[] };
  return [event, args.at(-1) as Payload];
}

/** An answer by HTTP. */
export function answered(name: string): Response {
  const { headers, body } = recorded(name) as { headers: Record<string, string>; body: unknown };
  return Response.json(body, { headers });
}
