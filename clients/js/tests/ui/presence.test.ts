import { afterEach, expect, test, vi } from "vitest";
import type { HubClient } from "../../src/client";
import "../../src/ui/presence";
import type { HubPresence } from "../../src/ui/presence";
import { part, placed, PretendHub, settled } from "./pretend";

afterEach(() => {
  document.body.replaceChildren();
  vi.unstubAllGlobals();
});

const ROOM = "topic:jobs";
const passage = (userId: string | null, room = ROOM) => ({ room, userId, roles: ["CUSTOMER"], at: "2026-11-20T11:00:00.000Z" });
const people = (presence: HubPresence): (string | undefined)[] =>
  [...part(presence, "people").querySelectorAll<HTMLElement>(".person")].map((person) => person.dataset.id);

/** A stream cannot be asked, so the answer is put in here; the news come over the stream. */
async function shown(hub: PretendHub, users: string[] | null, attributes = {}): Promise<HubPresence> {
  const client: HubClient = await hub.client();
  const roster = users?.map((userId) => ({ userId, roles: ["ADMIN"], connections: 1 }));
  const answer = { room: ROOM, totalOnline: users?.length ?? 3, byRole: {}, connections: 3, sessions: 3, ...(roster && { users: roster }) };
  vi.spyOn(client.presence, "get").mockResolvedValue(answer);
  const presence = placed("hub-presence", client, { room: ROOM, ...attributes });
  await settled();
  expect(client.presence.get).toHaveBeenCalledWith(ROOM);
  return presence;
}

test("who is here is shown, and who comes and goes", async () => {
  const hub = new PretendHub();
  const presence = await shown(hub, ["ana"]);
  const told: string[] = [];
  for (const name of ["hub-join", "hub-leave"]) presence.addEventListener(name, () => told.push(name));
  await hub.says("presence:join", passage("ben"));
  await hub.says("presence:join", passage("ben"));
  await hub.says("presence:join", passage("eve", "topic:other"));
  expect(people(presence)).toEqual(["ana", "ben"]);
  expect(part(presence, "count").textContent).toBe("2 online");
  presence.names = { ben: "Ben Okri" };
  expect(part(presence, "people").textContent).toContain("BO");
  await hub.says("presence:leave", passage("ana"));
  expect(people(presence)).toEqual(["ben"]);
  expect(told).toEqual(["hub-join", "hub-leave"]);
});

test("who may not see people sees how many they are", async () => {
  const hub = new PretendHub();
  const presence = await shown(hub, null);
  expect(part(presence, "count").textContent).toBe("3 online");
  await hub.says("presence:leave", passage(null));
  expect(part(presence, "count").textContent).toBe("2 online");
  expect(people(presence)).toEqual([]);
});

test("many are shown as some and a number", async () => {
  const presence = await shown(new PretendHub(), ["a", "b", "c", "d"], { limit: "3" });
  expect(people(presence)).toEqual(["a", "b", "c"]);
  expect(part(presence, "count").textContent).toBe("and 1 more");
});

test("on a transport that goes one way it says that it does not know", async () => {
  const presence = placed("hub-presence", await new PretendHub().client());
  await settled();
  expect(part(presence, "count").textContent).toBe("Who is online is not known");
});
