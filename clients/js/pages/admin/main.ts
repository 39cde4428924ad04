/**
 * The dashboard: sign in, then one view at a time, chosen by the part of the address behind `#`. Everything it shows comes
 * over the hub's own client and the admin API.
 */
import { HubClient } from "../../src/client";
import "../../src/ui/bell";
import "../../src/ui/toasts";
import type { HubBell } from "../../src/ui/bell";
import type { HubToasts } from "../../src/ui/toasts";
import { hotels } from "../demo/api";
import { find, make, reason } from "../dom";
import { Refused, Session } from "./session";
import { audit } from "./views/audit";
import { broadcast } from "./views/broadcast";
import { deliveries } from "./views/deliveries";
import { keys } from "./views/keys";
import { log } from "./views/log";
import { overview } from "./views/overview";
import { people } from "./views/people";
import { suppressions } from "./views/suppressions";
import { templates } from "./views/templates";
import { types } from "./views/types";
import { mayLeave } from "./views/view";
import type { Desk, View } from "./views/view";

const VIEWS: Record<string, { title: string; show: (desk: Desk) => View }> = {
  overview: { title: "Overview", show: overview },
  people: { title: "People", show: people },
  deliveries: { title: "Deliveries", show: deliveries },
  log: { title: "Log", show: log },
  types: { title: "Types", show: types },
  templates: { title: "Templates", show: templates },
  suppressions: { title: "Suppressions", show: suppressions },
  broadcast: { title: "Broadcast", show: broadcast },
  keys: { title: "API keys", show: keys },
  audit: { title: "Audit", show: audit },
};

const [door, shell, view, nav] = [find("door"), find("shell"), find("view"), find("nav")];
const drawer = find<HTMLDialogElement>("drawer");
const bell = find<HubBell>("notification-center");
const toasts = document.querySelector<HubToasts>("hub-toasts");
let leave: (() => void)[] = [];
let unsaved = (): boolean => false;
/** Where the view that is shown stands. */
let here = "";
let desk: Desk | null = null;

function go(): void {
  if (!desk) return;
  if (location.hash === "#view") return view.focus(); // the link that skips the navigation
  const name = location.hash.slice(2).split("?")[0] ?? "";
  const chosen = VIEWS[name] ?? VIEWS.overview;
  if (!chosen) return;
  if (!mayLeave(unsaved())) return history.replaceState(null, "", here);
  for (const off of leave.splice(0)) off();
  if (drawer.open) drawer.close();
  const { content, offs = [], unsaved: written = () => false } = chosen.show(desk);
  leave = offs;
  unsaved = written;
  here = location.hash || "#/";
  view.replaceChildren(make("h2", { class: "title" }, chosen.title), ...content);
  document.title = `${chosen.title}: realtime hub`;
  for (const link of nav.querySelectorAll("a")) {
    const here = link.textContent === chosen.title;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function open(session: Session): void {
  session.keep();
  const client = new HubClient({ getToken: () => session.token });
  desk = {
    session,
    client,
    say: (text, severity = "info") => toasts?.toast(text, "", severity),
    aside: (title, content) => {
      find("drawer-title").textContent = title;
      find("drawer-body").replaceChildren(content);
      if (!drawer.open) drawer.showModal();
    },
  };
  const state = find("state");
  client.on("connection", ({ status, reason: why }) => {
    state.dataset.status = status;
    state.textContent = { idle: "Away", connecting: "Connecting", online: "Live", waiting: "Reconnecting", refused: why ?? "Refused" }[status];
    if (status === "refused") close(`The hub has ended this: ${why ?? "the token is not accepted"}.`);
  });
  // Asking for presence is how one is told of who joins and leaves; over SSE nobody can ask, and the views look again by themselves.
  client.on("connected", () => void client.presence.get().catch(() => null));
  bell.client = client;
  client.connect();
  find("tenant").textContent = session.tenant;
  [door.hidden, shell.hidden] = [true, false];
  go();
}

function close(why?: string): void {
  unsaved = () => false;
  for (const off of leave.splice(0)) off();
  desk?.session.forget();
  desk?.client.disconnect();
  desk = null;
  bell.client = null;
  view.replaceChildren();
  [door.hidden, shell.hidden] = [false, true];
  refuse(why);
}

function refuse(why?: string): void {
  const refusal = find("refusal");
  refusal.textContent = why ?? "";
  refusal.hidden = !why;
}

/** Asks the hub whether this token may look. */
async function enter(token: string): Promise<void> {
  try {
    const session = new Session(token);
    await session.get("/admin/presence?limit=1");
    refuse();
    open(session);
  } catch (fault) {
    const forbidden = fault instanceof Refused && fault.status === 403;
    close(forbidden ? "This token is not an admin's: it needs the role ADMIN." : reason(fault));
  }
}

/** In development the hub hands out tokens; elsewhere the path is not there, and the page does not ask twice. */
async function offerDemo(): Promise<void> {
  const all = await hotels().catch(() => []);
  const admins = all.flatMap((hotel) => hotel.users.filter(({ role }) => role === "ADMIN").map((person) => ({ hotel, person })));
  const box = find("demo-admins");
  for (const { hotel, person } of admins) {
    box.append(make("button", { type: "button", "data-testid": `be-${person.id}`, click: () => void enter(person.token) }, `${person.name}, ${hotel.name}`));
  }
  box.hidden = admins.length === 0;
}

nav.append(...Object.entries(VIEWS).map(([name, { title }]) => make("a", { href: `#/${name}` }, title)));
find<HTMLFormElement>("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  void enter(find<HTMLTextAreaElement>("token").value);
});
find("leave").addEventListener("click", () => mayLeave(unsaved()) && close());
addEventListener("beforeunload", (event) => unsaved() && event.preventDefault());
addEventListener("hashchange", go);
const kept = Session.kept();
if (kept) void enter(kept.token);
else door.hidden = false;
void offerDemo();
