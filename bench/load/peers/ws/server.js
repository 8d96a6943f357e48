// Node's `ws`: a set of sockets for each room.

import { WebSocketServer } from "ws";

const rooms = new Map();

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  // The kernel's queue has to hold what a load generator opens at once.
  backlog: 4096,
  // Only for clients that offer it.
  perMessageDeflate: { threshold: 256 },
});

server.on("connection", (socket, request) => {
  const [, kind, name] = request.url.split("/");
  if (kind === "echo") {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
  }
  if (kind === "room") {
    const members = rooms.get(name) ?? new Set();
    rooms.set(name, members.add(socket));
    socket.on("close", () => members.delete(socket));
    socket.on("message", (data, binary) => {
      for (const member of members) member.send(data, { binary });
    });
  }
});

server.on("listening", () => console.log(`listening on port ${server.address().port}`));
