/** What browsers give to tabs, as far as the client uses it: channels and locks of one origin. */
import { vi } from "vitest";

const channels = new Set<FakeChannel>();

export class FakeChannel {
  /** A frozen tab: it hears and says nothing. */
  frozen = false;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
    channels.add(this);
  }

  postMessage(data: unknown): void {
    if (this.frozen) return;
    for (const other of channels) {
      if (other === this || other.name !== this.name) continue;
      const copy = structuredClone(data);
      queueMicrotask(() => channels.has(other) && !other.frozen && other.onmessage?.({ data: copy }));
    }
  }

  close(): void {
    channels.delete(this);
  }
}

interface Asked {
  lead: () => Promise<void> | void;
  done: (outcome: void | Promise<void>) => void;
  broken: (fault: Error) => void;
}

class FakeLocks {
  readonly #holders = new Map<string, Asked>();
  readonly #queues = new Map<string, Asked[]>();

  request(name: string, options: { steal?: boolean; signal?: AbortSignal }, lead: Asked["lead"]): Promise<void> {
    return new Promise((done, broken) => {
      const asked = { lead, done, broken };
      const queue = this.#queues.get(name) ?? [];
      this.#queues.set(name, queue);
      if (options.steal) {
        this.#holders.get(name)?.broken(new Error("stolen"));
        this.#holders.delete(name);
        queue.unshift(asked);
      } else queue.push(asked);
      options.signal?.addEventListener("abort", () => {
        if (!queue.includes(asked)) return;
        queue.splice(queue.indexOf(asked), 1);
        broken(new Error("aborted"));
      });
      queueMicrotask(() => void this.#next(name));
    });
  }

  async #next(name: string): Promise<void> {
    const asked = this.#holders.has(name) ? undefined : this.#queues.get(name)?.shift();
    if (!asked) return;
    this.#holders.set(name, asked);
    await asked.lead();
    asked.done();
    if (this.#holders.get(name) !== asked) return; // it was stolen meanwhile
    this.#holders.delete(name);
    await this.#next(name);
  }
}

/** The channels that are open, first opened first. */
export function fakeTabs(): { channels: () => FakeChannel[] } {
  channels.clear();
  vi.stubGlobal("BroadcastChannel", FakeChannel);
  Object.defineProperty(navigator, "locks", { configurable: true, value: new FakeLocks() });
  return { channels: () => [...channels] };
}

export function noTabs(): void {
  channels.clear();
  Reflect.deleteProperty(navigator, "locks");
}
