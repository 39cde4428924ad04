/** What the tabs of one person say to each other, what their channel is called, and calls that await an answer. */
import { HubError } from "./errors";
import type { Choice } from "./ladder";
import type { Connection } from "./link";

const ASK_MS = 12_000;

/** Where a leader begins: what the one before it had. */
export interface Start {
  cursor: string | null;
  rooms: readonly string[];
  watched: readonly (string | null)[];
}

export type Word = { from: string } & (
  | { kind: "hello"; cursor: string | null; rooms: readonly string[] }
  | { kind: "state"; connection: Connection; start: Start; to?: string; missed?: boolean }
  | { kind: "message"; name: string; payload: unknown; replayed: boolean; to?: string }
  | { kind: "ask"; id: number; call: Call }
  | { kind: "answer"; id: number; to: string; answer?: unknown; fault?: { message: string; code: string } }
  | { kind: "bye" }
);
export type Call =
  | { verb: "ask"; event: string; data: unknown }
  | { verb: "join" | "leave"; room: string }
  | { verb: "start" }
  | { verb: "switchTo"; choice: Choice };
/** What a reader of the type `Word` says; who says it is put on by the sender. */
export type Said = Word extends infer One ? (One extends Word ? Omit<One, "from"> : never) : never;

/** A name for everybody who may share: the same hub, and a token that says the same but for its times. Null: nobody. */
export function scopeOf(url: string, token: string | null, types: readonly string[]): string | null {
  const part = token?.split(".")[1];
  if (!part) return null;
  try {
    const text = atob(part.replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(text) as Record<string, unknown>;
    const lasting = Object.keys(claims).filter((name) => !["exp", "iat", "nbf", "jti"].includes(name));
    const who = lasting.sort().map((name) => [name, claims[name]]);
    return `hub:${JSON.stringify([url || location.origin, who, [...types].sort()])}`;
  } catch {
    return null;
  }
}

interface Waiting {
  resolve: (answer: unknown) => void;
  reject: (fault: HubError) => void;
  timer: ReturnType<typeof setTimeout>;
}

/** Calls of the tab with the connection. */
export class Calls {
  readonly #say: (word: Said) => void;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(say: (word: Said) => void) {
    this.#say = say;
  }

  /** Throws `HubError`: what the other tab says, or `unreachable`. */
  call(call: Call): Promise<unknown> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new HubError("the tab with the connection did not answer", "unreachable"));
      }, ASK_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#say({ kind: "ask", id, call });
    });
  }

  answered({ id, answer, fault }: Word & { kind: "answer" }): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (fault) waiting.reject(new HubError(fault.message, fault.code));
    else waiting.resolve(answer);
  }
}
