// A stock socket.io-client with state recovery that does as it is told: one JSON array a line, both ways.
// in:  ["cut"] ["go", url] ["emit", ...arguments] ["leave"] ["enter"]
// out: ["upgrade"] ["connect", {id, recovered, pid, offset}] ["event", ...arguments] ["ack", answer] ["disconnect", reason] ["connect_error", message]
// usage: node recovery_client.mjs <package.json beside the client's node_modules> <url> <namespace> <token> [transport]
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [home, url, namespace, token, transport] = process.argv.slice(2);
const { Manager } = createRequire(home)("socket.io-client");
const manager = new Manager(url, {
  reconnectionDelay: 20,
  reconnectionDelayMax: 50,
  ...(transport && { transports: [transport] }),
});
const socket = manager.socket(namespace, { auth: { token, recovery: true } });
const print = (...line) => console.log(JSON.stringify(line));

manager.on("open", () => manager.engine.once("upgrade", () => print("upgrade")));
socket.on("connect", () =>
  print("connect", {
    id: socket.id,
    recovered: socket.recovered,
    pid: socket._pid ?? null,
    offset: socket._lastOffset ?? null,
  }),
);
socket.onAny((...all) => print("event", ...all));
socket.on("disconnect", (reason) => print("disconnect", reason));
socket.on("connect_error", (error) => print("connect_error", error.message));

const orders = {
  cut: () => manager.engine.close(),
  go: (to) => (manager.uri = to), // where the next attempt goes, as a load balancer would have it
  emit: async (...all) => print("ack", await socket.emitWithAck(...all)),
  leave: () => socket.disconnect(),
  enter: () => socket.connect(),
};
createInterface({ input: process.stdin }).on("line", (line) => {
  const [name, ...all] = JSON.parse(line);
  orders[name](...all);
});
