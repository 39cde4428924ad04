// A stock socket.io-client against tests/realtime_echo.py: prints one JSON object per check, {name, ok, detail}.
// usage: node realtime_client.mjs <package.json beside the client's node_modules> <url> <transports, comma separated>
import { createRequire } from "node:module";
import { once } from "node:events";

const [home, url, transports] = process.argv.slice(2);
const { io } = createRequire(home)("socket.io-client");
const options = { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
if (transports) options.transports = transports.split(",");
const check = (name, ok, detail) => console.log(JSON.stringify({ name, ok: !!ok, detail }));
const wait = (target, event) => once(target, event, { signal: AbortSignal.timeout(10000) });
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const socket = io(url, options);
await wait(socket, "connect");
if (!transports && socket.io.engine.transport.name !== "websocket") await wait(socket.io.engine, "upgrade");
check("transport", socket.io.engine.transport.name === (transports === "polling" ? "polling" : "websocket"));
check("sid", /^[\w-]{20}$/.test(socket.id), socket.id);

check("ack of one argument", same(await socket.emitWithAck("echo", { a: [1, null, "ä😀"] }), { a: [1, null, "ä😀"] }));
check("ack of many", same(await new Promise((done) => socket.emit("echo", 1, "two", [3], (...all) => done(all))), [1, "two", [3]]));
check("ack of none", same(await new Promise((done) => socket.emit("echo", (...all) => done(all))), []));
socket.on("question", (data, answer) => answer("so it is", data));
socket.emit("ask", { x: 1 });
check("ack of ours", same((await wait(socket, "answer"))[0], ["so it is", { x: 1 }]));
check("a big message", (await socket.emitWithAck("echo", "x".repeat(60000))).length === 60000);

const burst = Promise.all(Array.from({ length: 300 }, (_, n) => socket.emitWithAck("echo", n)));
check("a burst in order", same(await burst, Array.from({ length: 300 }, (_, n) => n)));

const other = io(`${url}/ws/notifications`, options);
await wait(other, "connect");
const heard = [];
other.on("n", (n) => heard.push(n));
other.emit("publish", 300);
await wait(other, "end");
check("a fan-out in order", same(heard, Array.from({ length: 300 }, (_, n) => n)), heard.length);
other.close();

const stranger = io(`${url}/nowhere`, options);
check("an unknown namespace", (await wait(stranger, "connect_error"))[0].message === "Invalid namespace");
stranger.close();

const refused = io(url, { ...options, auth: { token: "bad" } });
const [error] = await wait(refused, "connect_error");
check("a refusal", error.message === "no" && error.data.code === "token_invalid", error.data);
refused.close();

await new Promise((done) => setTimeout(done, 1100)); // several heartbeats
check("alive after heartbeats", socket.connected);

const before = socket.id;
socket.emit("drop");
await wait(socket, "disconnect");
await wait(socket, "connect");
check("comes back after a cut", socket.connected && socket.id !== before);
socket.emit("come back");
const [kind] = await wait(socket, "disconnect");
check("a close that wants it back", kind !== "io server disconnect", kind);
await wait(socket, "connect");
socket.emit("kick");
const [reason] = await wait(socket, "disconnect");
check("a kick", reason === "io server disconnect", reason);
check("and no way back", !socket.active);
socket.close();
