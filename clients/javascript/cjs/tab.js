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
var tab_exports = {};
__export(tab_exports, {
  Tab: () => Tab
});
module.exports = __toCommonJS(tab_exports);
var import_random_id = require("./random-id.js");
var import_tab_hub = require("./tab-hub.js");
class Tab {
  id = (0, import_random_id.randomId)();
  /** @type {Map<string, TabSocket>} */
  #sockets = /* @__PURE__ */ new Map();
  #channel;
  #opened = 0;
  /** Messages that wait until the lock is held. @type {TabMessage[] | null} */
  #unsaid = [];
  /**
   * @param {string} name
   * @param {WebSocketConstructor} WebSocket
   * @param {Locks} locks
   * @param {ChannelConstructor} Channel
   * @param {{ timers: Timers, now: () => number }} clock
   */
  constructor(name, WebSocket, locks, Channel, clock) {
    this.#channel = new Channel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    void locks.request(`${name}:${this.id}`, () => {
      for (const message of this.#unsaid ?? []) this.#channel.postMessage(message);
      this.#unsaid = null;
      return new Promise(() => {
      });
    });
    void locks.request(`${name}:leader`, () => {
      const channel = new Channel(name);
      const hub = new import_tab_hub.TabHub({
        ...clock,
        WebSocket,
        tell: (message) => {
          channel.postMessage(message);
        },
        gone: (tab, callback) => {
          void locks.request(`${name}:${tab}`, callback);
        }
      });
      channel.onmessage = ({ data }) => hub.hear(data);
      hub.announce();
      return new Promise(() => {
      });
    });
  }
  /**
   * @param {TabSocket} socket
   * @returns {string}
   */
  add(socket) {
    const id = `${this.id}/${this.#opened += 1}`;
    this.#sockets.set(id, socket);
    return id;
  }
  /** @param {string} socket */
  remove(socket) {
    this.#sockets.delete(socket);
  }
  /** @param {Omit<TabMessage, 'from'>} message */
  say(message) {
    const said = { ...message, from: this.id };
    if (this.#unsaid) this.#unsaid.push(said);
    else this.#channel.postMessage(said);
  }
  /** @param {TabMessage} message */
  #hear(message) {
    if (message.kind === "leader") {
      for (const socket of [...this.#sockets.values()]) socket.follow(message.from);
    }
    for (const id of message.to ?? []) this.#sockets.get(id)?.hear(message);
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Tab
});
