/** Words to everybody of the tenant, or of a role. */
import { make } from "../../dom";
import { card, field, form, number } from "../parts";
import type { Desk, View } from "./view";

const OUTSIDE = ["email", "sms", "discord", "webpush"];

export function broadcast({ session }: Desk): View {
  // The same message from an impatient hand is one message; a changed one is another.
  const keys = new Map<string, string>();
  const send = async (values: FormData, element: HTMLFormElement): Promise<string> => {
    const body: Record<string, unknown> = {};
    for (const name of ["title", "message", "link", "severity", "role", "type"]) {
      const value = values.get(name);
      if (value) body[name] = value;
    }
    const outside = OUTSIDE.filter((name) => values.has(name));
    body.channels = ["inApp", ...outside];
    const whom = body.role ? `everybody with the role ${String(body.role)}` : "everybody";
    if (!confirm(`Send “${String(body.title)}” to ${whom}${outside.length > 0 ? `, also by ${outside.join(", ")}` : ""}?`)) return "Not sent.";
    const text = JSON.stringify(body);
    const key = keys.get(text) ?? crypto.randomUUID();
    keys.set(text, key);
    const { recipients } = await session.send<{ recipients: number }>("POST", `/admin/notifications/broadcast`, body, { "Idempotency-Key": key });
    keys.delete(text);
    element.reset();
    element.querySelector<HTMLInputElement>("[name=title]")?.focus();
    return `Sent to ${whom}${recipients ? ` (${number(recipients)} now)` : ""}.`;
  };
  const channel = (name: string): HTMLElement =>
    make("label", { class: "check" }, make("input", { type: "checkbox", name, value: "1" }), name);
  return {
    content: [
      card(
        "Broadcast",
        form(
          "broadcast",
          [
            field({ name: "title", label: "Title", required: true, hint: "Maintenance tonight" }),
            field({ name: "message", label: "Message", lines: 3 }),
            field({ name: "link", label: "Link", hint: "/status" }),
            make(
              "div",
              { class: "three" },
              field({ name: "severity", label: "Severity", options: [["", "as the type says"], "info", "success", "warning", "error", "critical"] }),
              field({ name: "role", label: "Role (empty: everybody)", hint: "CUSTOMER" }),
              field({ name: "type", label: "Type", value: "system.maintenance" }),
            ),
            make("fieldset", { class: "checks" }, make("legend", {}, "Also by"), ...OUTSIDE.map(channel)),
          ],
          "Send",
          send,
        ),
      ),
    ],
  };
}
