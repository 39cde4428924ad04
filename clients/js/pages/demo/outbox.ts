/**
 * What the development sandbox would have sent for this hotel. Looked at again whenever a delivery changes. A mail's HTML is
 * shown in a frame that may run nothing and reach nothing.
 */
import type { HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import { outbox as load } from "./api";
import type { Mail } from "./api";
import { clock, find, make } from "../dom";

const MOST = 20;

export function outbox(hub: HubClient): Off[] {
  const look = (): void => void refresh(hub.connection.connected?.tenantId);
  return [hub.on("connected", look), hub.on("delivery:update", look)];
}

let asked = 0;

async function refresh(tenant: string | undefined): Promise<void> {
  const mine = ++asked;
  const all = await load().catch((): Mail[] => []);
  if (mine !== asked) return; // a later look is on its way
  const mails = all.filter((mail) => mail.tenantId === tenant);
  find("outbox-empty").hidden = mails.length > 0;
  find("outbox").replaceChildren(...mails.slice(0, MOST).map(row));
}

function row(mail: Mail): HTMLElement {
  return make(
    "li",
    {},
    make(
      "button",
      { type: "button", class: "letter", "data-testid": "letter", click: () => open(mail) },
      make("strong", {}, mail.subject),
      make("span", { class: "meta" }, `${mail.channel} to ${mail.to}`),
      clock(mail.at),
    ),
  );
}

function open(mail: Mail): void {
  find("mail-subject").textContent = mail.subject;
  find("mail-to").textContent = `to ${mail.to}`;
  find<HTMLIFrameElement>("mail-body").srcdoc = mail.html ?? make("pre", {}, mail.text).outerHTML;
  find<HTMLDialogElement>("mail").showModal();
}
