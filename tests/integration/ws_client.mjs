// A terminal's WebSocket client on the package `ws`, as wscat is: a message a line, both ways.
// usage: node ws_client.mjs <package.json beside the client's node_modules> <url>
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [home, url] = process.argv.slice(2);
const WebSocket = createRequire(home)("ws");
const ws = new WebSocket(url);

ws.on("message", (data, binary) => console.log(binary ? "binary" : data.toString()));
ws.on("error", (error) => console.log(JSON.stringify({ event: "connect_error", data: error.message })));
ws.on("close", (code) => console.log(JSON.stringify({ event: "disconnect", data: code })));
createInterface({ input: process.stdin }).on("line", (line) => ws.send(line));
