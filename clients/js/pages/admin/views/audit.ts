/** What admins did, newest first. */
import { clock, make, reason } from "../../dom";
import { button, card, Table } from "../parts";
import type { Note } from "../shapes";
import type { Desk, View } from "./view";

export function audit({ session, say }: Desk): View {
  const table = new Table("audit", ["When", "Who", "Did", "To what", "Details"], "No admin has done anything yet.");
  const older = button("Older ones", () => void show(next), { hidden: "" });
  let next: string | null = null;

  async function show(path: string | null): Promise<void> {
    if (!path) return;
    try {
      const page = await session.page<Note>(path);
      table.add(
        page.rows.map(({ id, actor, action, target, details, at }) => ({
          id,
          cells: [clock(at), actor, make("code", {}, action), target, make("code", { class: "data" }, JSON.stringify(details))],
        })),
      );
      next = page.next;
      older.hidden = !next;
    } catch (fault) {
      say(reason(fault), "error");
    }
  }

  void show("/admin/audit?limit=50");
  return { content: [card("Audit", table.root, older)] };
}
