// A stock socket.io-client that prints what it gets, one JSON line each: [transport, event, ...arguments].
// usage: node stock_client.mjs <package.json beside the client's node_modules> <url> <token> [transport]
import { createRequire } from "node:module";

const [home, url, token, transport] = process.argv.slice(2);
const { io } = createRequire(home)("socket.io-client");
const socket = io(url, { auth: { token }, ...(transport && { transports: [transport] }) });
const print = (...line) => console.log(JSON.stringify([socket.io.engine.transport.name, ...line]));

socket.onAny(print);
socket.io.on("open", () => {
  print("opened");
  socket.io.engine.on("upgrade", () => print("upgraded"));
});
socket.on("connect_error", (error) => print("connect_error", error.message));
socket.on("disconnect", (reason) => print("disconnect", reason));
