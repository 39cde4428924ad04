/** Addresses that get nothing any more: why, adding one by hand, and letting one get messages again. */
import { clock, make, reason } from "../../dom";
import { button, card, field, form, Table } from "../parts";
import type { Suppression } from "../shapes";
import type { Desk, View } from "./view";

export function suppressions({ session, say }: Desk): View {
  const table = new Table("suppressions", ["Channel", "Address", "Why", "Since", ""], "No address is suppressed.");
  const older = button("Older ones", () => void show(next, true), { hidden: "" });
  let next: string | null = null;

  async function show(path: string | null, more: boolean): Promise<void> {
    if (!path) return;
    try {
      const page = await session.page<Suppression>(path);
      const rows = page.rows.map((one) => ({ id: `${one.channel} ${one.id}`, cells: cells(one) }));
      if (more) table.add(rows);
      else table.fill(rows);
      next = page.next;
      older.hidden = !next;
    } catch (fault) {
      say(reason(fault), "error");
    }
  }
  const look = (): Promise<void> => show("/admin/suppressions?limit=50", false);

  function cells({ channel, id, hint, reason: why, createdAt }: Suppression): (Node | string)[] {
    const lift = (): void => {
      if (!confirm(`Let ${hint} get messages again?`)) return;
      session.send("DELETE", `/admin/suppressions/${channel}/${id}`).then(look, (fault: unknown) => say(reason(fault), "error"));
    };
    return [channel, make("code", {}, hint), why, clock(createdAt), button("Lift", lift, { "data-testid": "lift" })];
  }

  void look();
  return {
    content: [
      card(
        "Suppress an address",
        form(
          "suppress",
          [
            make("div", { class: "three" }, field({ name: "channel", label: "Channel", options: ["email", "sms", "discord"], value: "email" }), field({ name: "address", label: "Address", required: true })),
          ],
          "Suppress",
          async (values, element) => {
            const answer = await session.ask("POST", "/admin/suppressions", { channel: values.get("channel"), address: values.get("address") });
            element.reset();
            await look();
            return answer.status === 201 ? "It gets nothing any more." : "It was suppressed already.";
          },
        ),
      ),
      card("Suppressed addresses", table.root, older),
    ],
  };
}
