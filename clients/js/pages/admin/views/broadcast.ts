/** Words to everybody of the tenant, or of a role. */
import { make } from "../../dom";
import { card, field, form, number } from "../parts";
import type { Desk, View } from "./view";

export function broadcast({ session }: Desk): View {
  // The same message from an impatient hand is one message; a changed one is another.
  const keys = new Map<string, string>();
  const send = async (values: FormData, element: HTMLFormElement): Promise<string> => {
    const body: Record<string, unknown> = {};
    for (const name of ["title", "message", "link", "severity", "role", "type"]) {
      const value = values.get(name);
      if (value) body[name] = value;
    }
    body.channels = ["inApp", ...["email", "sms", "discord", "webpush"].filter((name) => values.has(name))];
    const text = JSON.stringify(body);
    const key = keys.get(text) ?? crypto.randomUUID();
    keys.set(text, key);
    const { recipients } = await session.send<{ recipients: number }>("POST", `/admin/notifications/broadcast`, body, { "Idempotency-Key": key });
    keys.delete(text);
    element.querySelector<HTMLInputElement>("[name=title]")?.focus();
    return `Sent to ${body.role ? `everybody with the role ${String(body.role)}` : "everybody"}${recipients ? ` (${number(recipients)} now)` : ""}.`;
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
              field({ name: "severity", label: "Severity", options: ["info", "success", "warning", "error", "critical"], value: "info" }),
              field({ name: "role", label: "Role (empty: everybody)", hint: "CUSTOMER" }),
              field({ name: "type", label: "Type", value: "system.maintenance" }),
            ),
            make("fieldset", { class: "checks" }, make("legend", {}, "Also by"), ...["email", "sms", "discord", "webpush"].map(channel)),
          ],
          "Send",
          send,
        ),
      ),
    ],
  };
}
