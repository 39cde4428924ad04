/** API keys of the tenant: made, with the secret shown this once, and ended. */
import { make, reason } from "../../dom";
import { button, card, field, form, Table, tags, when } from "../parts";
import type { Cell } from "../parts";
import type { Key } from "../shapes";
import type { Desk, View } from "./view";

const SCOPES = ["notify", "read", "admin"];

export function keys({ session, say }: Desk): View {
  const table = new Table("keys", ["Name", "Begins with", "Scopes", "Made", "Ended", ""], "There are no keys yet.");
  const secret = make("div", { class: "secret", "data-testid": "secret", role: "status", hidden: true });

  async function look(): Promise<void> {
    const all = await session.get<Key[]>("/admin/api-keys");
    table.fill(all.reverse().map((key) => ({ id: key.id, cells: cells(key) })));
  }

  function revoke(key: Key): void {
    if (!confirm(`End the key ${key.name ?? key.prefix}? Whoever uses it is refused from now on.`)) return;
    session.send("DELETE", `/admin/api-keys/${key.id}`).then(look, (fault: unknown) => say(reason(fault), "error"));
  }

  function cells(key: Key): Cell[] {
    const end = key.revokedAt ? null : button("Revoke", () => revoke(key), { "data-testid": "revoke-key" });
    return [key.name ?? "", make("code", {}, `${key.prefix}…`), tags(key.scopes), when(key.createdAt), when(key.revokedAt), end];
  }

  function show(text: string): void {
    const copy = button("Copy", () => void navigator.clipboard.writeText(text).then(() => say("Copied.", "success")));
    secret.replaceChildren(
      make("p", {}, "This is the only time the secret is shown. Keep it where your backend keeps its secrets."),
      make("div", { class: "row" }, make("code", { "data-testid": "secret-text" }, text), copy),
    );
    secret.hidden = false;
  }

  const scope = (name: string): HTMLElement =>
    make("label", { class: "check" }, make("input", { type: "checkbox", name: "scope", value: name, checked: name === "notify" }), name);
  look().catch((fault: unknown) => say(reason(fault), "error"));
  return {
    content: [
      card(
        "New API key",
        form(
          "new-key",
          [
            field({ name: "name", label: "Name", hint: "booking backend", required: true }),
            make("fieldset", { class: "checks", "data-field": "scopes" }, make("legend", {}, "It may"), ...SCOPES.map(scope)),
          ],
          "Create",
          async (values, element) => {
            const made = await session.send<Key>("POST", "/admin/api-keys", { name: values.get("name"), scopes: values.getAll("scope") });
            show(made.secret ?? "");
            element.reset();
            await look();
            return "Created.";
          },
        ),
        secret,
      ),
      card("API keys", table.root),
    ],
  };
}
