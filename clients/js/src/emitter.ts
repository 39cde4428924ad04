/** Listeners by name. One that throws is reported and does not keep the others from hearing. */

export type Off = () => void;

export class Emitter {
  readonly #listeners = new Map<string, Set<(payload: never) => void>>();

  on(name: string, listener: (payload: never) => void): Off {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  emit(name: string, payload: unknown): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(payload as never);
      } catch (fault) {
        reportError(fault);
      }
    }
  }
}
