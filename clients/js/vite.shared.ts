// What all builds have in common.
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

export const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A slow machine is nothing that its owner has to be warned of. */
export const checks = { bundlerTimings: false };

const ENGINE = here("node_modules/engine.io-client/build/esm");
// As much of engine.io-client as stands behind a WebSocket.
const FACADE = `
export { Socket } from "${ENGINE}/socket.js";
export { installTimerFunctions } from "${ENGINE}/util.js";
export { nextTick } from "${ENGINE}/globals.node.js";
export { WS as WebSocket } from "${ENGINE}/transports/websocket.js";
`;

/** socket.io-client without the transports that nobody asked for; long polling is loaded when it is. */
export function slim(): Plugin {
  return {
    name: "slim",
    enforce: "pre",
    resolveId(source, importer) {
      if (source === "./transports/index.js" && importer?.startsWith(ENGINE)) return "\0no-transports";
      if (source === "socket.io-client") return here("node_modules/socket.io-client/build/esm/manager.js");
      if (source !== "engine.io-client") return undefined;
      return importer === here("src/polling.ts") ? `${ENGINE}/transports/polling-xhr.js` : "\0engine";
    },
    load(id) {
      if (id === "\0no-transports") return "export const transports = {};";
      return id === "\0engine" ? FACADE : undefined;
    },
  };
}

/** Style sheets stand as text in the code of the elements, where nobody else takes the spaces out. */
export function tight(): Plugin {
  return {
    name: "tight",
    enforce: "pre",
    transform(code, id) {
      if (!id.startsWith(here("src/ui/"))) return undefined;
      const sheets = /(= `)([^`]*\{[^`]*;[^`]*)`/g;
      const spaces = (_: string, start: string, sheet: string): string =>
        `${start}${sheet.replace(/\s*([{};,])\s*/g, "$1").replace(/: /g, ":")}\``;
      return { code: code.replace(sheets, spaces), map: null };
    },
  };
}
