// The peer: Socket.IO on Node with its default engine (ws), doing what the hub does for a connection: check a
// JWT before anything else, join the rooms of its claims, say `connected`.
//
//   node socketio.js PORT LINE_PORT SECRET LOG [REDIS_SOCKET]
//
// Published are the lines "<room> <json>\n" on LINE_PORT, and what is posted to /notifications once it is on the disk:
// a line of the file LOG, synced with all that waited. With Redis, several of these are one server, by Socket.IO's own
// adapter.
const fs = require('fs');
const http = require('http');
const net = require('net');
const jwt = require('jsonwebtoken');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-adapter');
const { createClient } = require('redis');

const [port, linePort] = process.argv.slice(2, 4).map(Number);
const [secret, log, redis] = process.argv.slice(4);

const server = http.createServer(post);
const io = new Server(server, { serveClient: false });

io.use((socket, next) => {
  try {
    socket.data.claims = jwt.verify(socket.handshake.auth.token, secret, { algorithms: ['HS256'] });
    next();
  } catch (error) {
    next(error);
  }
});

io.on('connection', (socket) => {
  const { sub, tenant, roles, sid } = socket.data.claims;
  const rooms = [`user:${sub}`, ...roles.map((role) => `role:${role}`), `tenant:${tenant}`, `session:${sid}`];
  socket.join(rooms);
  socket.emit('connected', { sid: socket.id, userId: sub, tenantId: tenant, rooms });
});

const file = fs.openSync(log, 'a');
let waiting = [];
let storing = false;

function post(request, response) {
  if (request.url !== '/notifications') return; // Socket.IO's own
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    waiting.push({ text: Buffer.concat(parts).toString(), response });
    if (!storing) store();
  });
}

function store() {
  const taken = waiting;
  waiting = [];
  storing = true;
  fs.write(file, taken.map(({ text }) => text + '\n').join(''), (failed) => {
    if (failed) throw failed;
    fs.fdatasync(file, (late) => {
      if (late) throw late;
      storing = false;
      if (waiting.length) store();
      for (const { text, response } of taken) {
        const notification = JSON.parse(text);
        io.to(notification.to).emit('notification', notification);
        response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': 2 }).end('{}');
      }
    });
  });
}

net
  .createServer((publisher) => {
    let rest = '';
    publisher.setEncoding('utf8');
    publisher.setNoDelay();
    publisher.on('error', () => {});
    publisher.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const space = line.indexOf(' ');
        io.to(line.slice(0, space)).emit('notification', JSON.parse(line.slice(space + 1)));
      }
    });
  })
  .listen(linePort, '127.0.0.1');

async function main() {
  if (redis) {
    const publisher = createClient({ socket: { path: redis } });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
    io.adapter(createAdapter(publisher, subscriber));
  }
  server.listen(port, '127.0.0.1', 4096);
}

main();
