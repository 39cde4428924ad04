/**
 * `<hub-presence>`: who is online in the tenant, or in one room, and who comes and goes. Who may not see people sees how
 * many they are. Asks over Socket.IO; on a one-way transport it says that it does not know.
 */
import type { HubClient } from "../client";
import type { Off } from "../emitter";
import type { Passage } from "../protocol";
import { make, Rows } from "./dom";
import { define, HubElement } from "./element";
import { STYLE } from "./style";
import { PRESENCE_WORDS } from "./words/presence";

const LIMIT = 8;
const HUES = 12;

const CSS = `${STYLE}
:host { display: inline-flex; }
.all { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 10px; }
.people { display: flex; padding-left: 8px; }
.people:empty { display: none; }
.person { position: relative; display: grid; place-items: center; width: 32px; height: 32px; margin-left: -8px; border: 2px solid var(--surface); border-radius: 50%; background: hsl(var(--hue) 42% 88%); color: hsl(var(--hue) 60% 22%); font-size: 12px; font-weight: 650; }
.person::after { content: ""; position: absolute; right: -1px; bottom: -1px; width: 8px; height: 8px; border: 2px solid var(--surface); border-radius: 50%; background: #16a34a; }
.count { color: var(--muted); font-size: 13px; }
`;

interface Person {
  id: string;
  roles: readonly string[];
}

export class HubPresence extends HubElement {
  static override readonly observedAttributes = [...HubElement.observedAttributes, "room", "limit"];

  protected readonly words = PRESENCE_WORDS;
  protected readonly css = CSS;
  #names: Record<string, string> = {};
  #people = new Map<string, Person>();
  /** Null while it is not known. */
  #total: number | null = null;
  #room = "";
  #asked = 0;
  #parts!: { list: HTMLElement; count: HTMLElement; live: HTMLElement };
  #rows!: Rows<Person>;

  /** What people are called, by id. */
  get names(): Record<string, string> {
    return this.#names;
  }

  set names(names: Record<string, string>) {
    this.#names = names;
    if (this.isConnected) this.#rows.show([]);
    this.#draw();
  }

  /** The ids of those who are shown as online. */
  get online(): string[] {
    return [...this.#people.keys()];
  }

  protected build(root: ShadowRoot): void {
    const list = make("ul", { class: "people", part: "people", role: "list", "data-testid": "people" });
    const count = make("span", { class: "count", part: "count", "data-testid": "count" });
    const live = make("span", { class: "unseen", role: "status" });
    this.#parts = { list, count, live };
    this.#rows = new Rows<Person>(list, (person) => this.#person(person), () => {});
    root.append(make("div", { class: "all", part: "all" }, list, count, live));
    this.#draw();
  }

  protected attach(client: HubClient): Off[] {
    const look = (): void => void this.#look(client);
    if (client.connection.status === "online") look();
    return [
      client.on("connected", look),
      client.presence.onJoin((passage) => this.#passed(passage, true)),
      client.presence.onLeave((passage) => this.#passed(passage, false)),
    ];
  }

  protected override detached(): void {
    this.#asked += 1;
    this.#people.clear();
    this.#total = null;
    this.#draw();
  }

  async #look(client: HubClient): Promise<void> {
    const asked = ++this.#asked;
    try {
      const now = await client.presence.get(this.getAttribute("room") || undefined);
      if (asked !== this.#asked) return;
      this.#room = now.room;
      this.#total = now.totalOnline;
      this.#people = new Map((now.users ?? []).map(({ userId, roles }) => [userId, { id: userId, roles }]));
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#total = null;
      this.#people.clear();
      this.tell("hub-error", error);
    }
    this.#draw();
  }

  #passed({ room, userId, roles }: Passage, came: boolean): void {
    if (this.#total === null || room !== this.#room) return;
    if (userId !== null && this.#people.has(userId) === came) return;
    this.#total = Math.max(0, this.#total + (came ? 1 : -1));
    if (userId !== null) {
      if (came) this.#people.set(userId, { id: userId, roles });
      else this.#people.delete(userId);
      this.#parts.live.textContent = this.say(came ? "joined" : "left", { name: this.#name(userId) });
    }
    this.tell(came ? "hub-join" : "hub-leave", { userId, roles });
    this.#draw();
  }

  #draw(): void {
    if (!this.#parts) return;
    const { list, count } = this.#parts;
    const limit = Number(this.getAttribute("limit")) || LIMIT;
    const shown = [...this.#people.values()].slice(0, limit);
    this.#rows.show(shown);
    list.setAttribute("aria-label", this.say("online", { count: this.#total ?? 0 }));
    const rest = (this.#total ?? 0) - shown.length;
    if (this.#total === null) count.textContent = this.client ? this.say("unknown") : "";
    else if (this.#total === 0) count.textContent = this.say("nobody");
    else if (shown.length > 0 && rest > 0) count.textContent = this.say("more", { count: rest });
    else count.textContent = this.say("online", { count: this.#total });
  }

  #person({ id, roles }: Person): HTMLElement {
    const name = this.#name(id);
    const words = name.split(/[\s._-]+/).filter(Boolean);
    const initials = (words.length > 1 ? `${[...(words[0] ?? "")][0]}${[...(words[1] ?? "")][0]}` : name.slice(0, 2)).toUpperCase();
    const hue = [...id].reduce((sum, char) => sum + (char.codePointAt(0) ?? 0), 0) % HUES;
    const person = make(
      "li",
      { class: "person", part: "person", "data-id": id, title: roles.length > 0 ? `${name} (${roles.join(", ")})` : name },
      make("span", { "aria-hidden": "true" }, initials),
      make("span", { class: "unseen" }, name),
    );
    person.style.setProperty("--hue", String((hue * 360) / HUES));
    return person;
  }

  #name(id: string): string {
    return this.#names[id] ?? id;
  }
}

define("hub-presence", HubPresence);

declare global {
  interface HTMLElementTagNameMap {
    "hub-presence": HubPresence;
  }
}
