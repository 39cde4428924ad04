/** Who is online: by role, transport and process; and how to end what a person, a session or a connection may do. */
import { make, reason } from "../../dom";
import { button, card, field, form, meters, number, Table, tags } from "../parts";
import type { Presence } from "../shapes";
import { fresh } from "./view";
import type { Desk, View } from "./view";

const REFRESH_MS = 10_000;

export function people({ session, client, say }: Desk): View {
  const [roles, transports, nodes] = [make("div"), make("div", { "data-testid": "transports" }), make("div", { "data-testid": "nodes" })];
  const total = make("p", { class: "big", "data-testid": "online" }, "–");
  const table = new Table("people", ["Person", "Roles", "Connections", ""], "Nobody is online.");
  const rest = make("p", { class: "hint", hidden: true });

  function signOut(userId: string): void {
    if (!confirm(`Call back every token of ${userId}? All connections close within two seconds.`)) return;
    session.send("POST", "/admin/revoke", { userId }).then(
      () => say(`The tokens of ${userId} are called back.`, "success"),
      (fault: unknown) => say(reason(fault), "error"),
    );
  }

  async function look(): Promise<void> {
    const now = await session.get<Presence>("/admin/presence?limit=100");
    total.textContent = `${number(now.totalOnline)} online, ${number(now.connections)} ${now.connections === 1 ? "connection" : "connections"}${now.partial ? " (this process only)" : ""}`;
    roles.replaceChildren(meters(now.byRole, "No roles."));
    transports.replaceChildren(meters(now.byTransport, "No connections."));
    nodes.replaceChildren(meters(now.nodes, "No process has connections."));
    rest.textContent = `${number(now.users.length)} of ${number(now.totalOnline)} are listed.`;
    rest.hidden = now.users.length >= now.totalOnline;
    table.fill(
      now.users.map(({ userId, roles: held, connections }) => ({
        id: userId,
        cells: [userId, tags(held), number(connections), button("Sign out", () => signOut(userId), { "aria-label": `Sign out ${userId}` })],
      })),
    );
  }

  const refresh = (): void => void look().catch((fault: unknown) => say(reason(fault), "warning"));
  return {
    content: [
      card("Online now", total, make("div", { class: "three" }, part("By role", roles), part("By transport", transports), part("By process of the cluster", nodes))),
      card("People", table.root, rest),
      make(
        "div",
        { class: "two" },
        card(
          "Call tokens back",
          form(
            "revoke",
            [
              field({ name: "what", label: "Of", options: [["userId", "a person (sub)"], ["sessionId", "a session (sid)"], ["jti", "one token (jti)"]] }),
              field({ name: "value", label: "Its id", required: true }),
            ],
            "Call back",
            async (values) => {
              await session.send("POST", "/admin/revoke", { [String(values.get("what"))]: values.get("value") });
              return "Done: it holds in every process within two seconds.";
            },
          ),
        ),
        card(
          "End one connection",
          form("disconnect", [field({ name: "sid", label: "Its sid, as the event connected told it", required: true })], "End it", async (values) => {
            await session.send("POST", `/admin/connections/${encodeURIComponent(String(values.get("sid")))}/disconnect`);
            return "It is closed. Its client may come back.";
          }),
        ),
      ),
    ],
    offs: fresh(client, refresh, REFRESH_MS, "presence:join", "presence:leave"),
  };
}

function part(title: string, content: HTMLElement): HTMLElement {
  return make("div", {}, make("h3", {}, title), content);
}
