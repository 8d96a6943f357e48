"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var world_exports = {};
__export(world_exports, {
  world: () => world
});
module.exports = __toCommonJS(world_exports);
var import_fake_socket = require("./fake-socket.js");
var import_virtual_clock = require("./virtual-clock.js");
function world() {
  const clock = new import_virtual_clock.VirtualClock();
  const network = new EventTarget();
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const sockets = [];
  const server = { answersPings: false };
  class WebSocket extends import_fake_socket.FakeSocket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }
    send(data) {
      super.send(data);
      const { type, id } = this.sent.at(-1) ?? {};
      if (server.answersPings && type === "ping") this.receive({ type: "pong", id });
    }
  }
  return {
    clock,
    network,
    server,
    /** Hides the page, or shows it. */
    show(visible) {
      page.visibilityState = visible ? "visible" : "hidden";
      page.dispatchEvent(new Event("visibilitychange"));
    },
    sockets,
    /** The newest socket. */
    get socket() {
      return sockets.at(-1);
    },
    options: {
      WebSocket,
      timers: clock.timers,
      now: clock.now,
      date: clock.date,
      random: () => 0.5,
      // Nobody asks why a handshake failed, but where a test does.
      fetch: null,
      network,
      page
    }
  };
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  world
});
