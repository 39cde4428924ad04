/** How the line to the hub stands, and the buttons that cut and restore it. */
import type { Connection, HubClient } from "../../src/client";
import type { Off } from "../../src/emitter";
import type { TransportName } from "../../src/transport";
import { find, make } from "./dom";

const TRANSPORTS: Record<TransportName, string> = { socketio: "Socket.IO", sse: "Server-Sent Events" };

export function connection(hub: HubClient): Off[] {
  const [cut, restore] = [find("cut"), find("restore")];
  const leave = (): void => hub.disconnect();
  const comeBack = (): void => hub.connect();
  cut.addEventListener("click", leave);
  restore.addEventListener("click", comeBack);
  show(hub.connection);
  return [
    hub.on("connection", show),
    () => cut.removeEventListener("click", leave),
    () => restore.removeEventListener("click", comeBack),
  ];
}

function show(connection: Connection): void {
  const { status, transport, cursor, connected } = connection;
  const state = find("state");
  state.textContent = words(connection);
  state.dataset.status = status;
  find("via").textContent = TRANSPORTS[transport];
  find("cursor").textContent = cursor ?? "none yet";
  find("recovered").textContent = connected?.recovered ? "yes" : `no${reason(connected?.recoveryReason)}`;
  find("replayed").textContent = String(connected?.replayed ?? 0);
  find("rooms").replaceChildren(
    ...(connected?.rooms ?? []).filter((room) => !room.startsWith("session:")).map((room) => make("code", {}, room)),
  );
  const away = status === "idle" || status === "refused";
  find<HTMLButtonElement>("cut").disabled = away;
  find<HTMLButtonElement>("restore").disabled = !away;
}

function words({ status, reason: why, retryInMs }: Connection): string {
  switch (status) {
    case "idle":
      return "Cut";
    case "connecting":
      return "Connecting";
    case "online":
      return "Online";
    case "waiting":
      return `Lost; again in ${((retryInMs ?? 0) / 1000).toFixed(1)} s`;
    case "refused":
      return `Refused${reason(why)}`;
  }
}

function reason(text: string | null | undefined): string {
  return text ? `: ${text}` : "";
}
