/** Listeners by name. One that throws is reported and does not keep the others from hearing. */

export type Off = () => void;
type Listener = (...heard: never[]) => void;

export class Emitter {
  readonly #listeners = new Map<string, Set<Listener>>();

  on(name: string, listener: Listener): Off {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  emit(name: string, ...heard: unknown[]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...(heard as never[]));
      } catch (fault) {
        report(fault);
      }
    }
  }
}

function report(fault: unknown): void {
  if (typeof reportError === "function") reportError(fault);
  else setTimeout(() => { throw fault; });
}
