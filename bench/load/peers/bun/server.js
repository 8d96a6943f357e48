// Bun's own WebSockets, which are uWebSockets, and its native publish. The chat parses what
// is said and stores nothing.

let said = 0;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const url = new URL(request.url);
    const [, kind, room] = url.pathname.split("/");
    const data = { kind, room: `${kind}/${room}`, user: url.searchParams.get("user") };
    if (!server.upgrade(request, { data })) {
      return new Response("a WebSocket is expected", { status: 426 });
    }
  },
  websocket: {
    // Only for clients that offer it.
    perMessageDeflate: true,
    open(socket) {
      const { kind, room } = socket.data;
      if (kind === "room" || kind === "chat") socket.subscribe(room);
    },
    message(socket, message) {
      const { kind, room, user } = socket.data;
      if (kind === "echo") socket.send(message);
      if (kind === "room") server.publish(room, message, true);
      if (kind === "chat") {
        const { type, text } = JSON.parse(message);
        if (type !== "chat" || typeof text !== "string") return;
        const told = {
          id: ++said,
          type: "chat-message",
          text,
          user: { id: user, email: `user${user}@example.com` },
          timestamp: new Date().toISOString(),
        };
        server.publish(room, JSON.stringify(told));
      }
    },
  },
});

console.log(`listening on port ${server.port}`);
