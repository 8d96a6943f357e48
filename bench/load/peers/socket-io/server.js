// Socket.IO on Node: its rooms, and an event `m`.

import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"] });

io.on("connection", (socket) => {
  const [, kind, room] = socket.handshake.query.at.split("/");
  if (kind === "echo") socket.on("m", (value) => socket.emit("m", value));
  if (kind === "room") {
    socket.join(room);
    socket.on("m", (value) => io.to(room).emit("m", value));
  }
});

http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`listening on port ${http.address().port}`);
});
