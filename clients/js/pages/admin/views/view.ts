/** What a view is: something to show, that stops listening when it goes. */
import type { HubClient } from "../../../src/client";
import type { Off } from "../../../src/emitter";
import type { Session } from "../session";

export interface Desk {
  session: Session;
  client: HubClient;
  /** Says what went well, or did not, in a corner. */
  say(text: string, severity?: string): void;
  /** Shows something at the side. */
  aside(title: string, content: Node): void;
}

export interface View {
  content: Node[];
  offs?: Off[];
  /** Whether something was written that would be lost. */
  unsaved?: () => boolean;
}

/** Asks before something written is lost. */
export function mayLeave(unsaved: boolean): boolean {
  return !unsaved || confirm("Leave what you have written? It was not put in force.");
}

/** Does it now, whenever one of these is heard (at most once a second), after coming back, and every so often. */
export function fresh(client: HubClient, does: () => void, everyMs: number, ...names: string[]): Off[] {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      does();
    }, 1000);
  };
  const again = setInterval(() => document.hidden || does(), everyMs);
  does();
  return [
    ...["connected", ...names].map((name) => client.on(name, soon)),
    () => clearInterval(again),
    () => clearTimeout(timer),
  ];
}
