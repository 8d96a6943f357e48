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
var shared_socket_exports = {};
__export(shared_socket_exports, {
  SharedSocket: () => SharedSocket,
  sharedWebSocket: () => sharedWebSocket
});
module.exports = __toCommonJS(shared_socket_exports);
var import_environment = require("./environment.js");
var import_tab = require("./tab.js");
function sharedWebSocket(name, {
  WebSocket = globalThis.WebSocket,
  locks = globalThis.navigator?.locks,
  BroadcastChannel = globalThis.BroadcastChannel,
  timers = import_environment.platformTimers,
  now = () => performance.now()
} = {}) {
  if (!locks || !BroadcastChannel) return WebSocket;
  let tab = null;
  return (
    /** @type {WebSocketConstructor} */
    class extends SharedSocket {
      /**
       * @param {string} url
       * @param {string[]} [protocols]
       */
      constructor(url, protocols) {
        if (!new URL(url).pathname.endsWith("/live")) {
          return (
            /** @type {any} */
            new WebSocket(url, protocols)
          );
        }
        tab ??= new import_tab.Tab(`nextrush-tabs:${name}`, WebSocket, locks, BroadcastChannel, { timers, now });
        super(tab, url, protocols);
      }
    }
  );
}
class SharedSocket extends EventTarget {
  readyState = 0;
  #tab;
  #id;
  #url;
  #protocols;
  /** The leader that opened it. @type {string | null} */
  #leader = null;
  /**
   * @param {Tab} tab
   * @param {string} url
   * @param {string[]} [protocols]
   */
  constructor(tab, url, protocols) {
    super();
    this.#tab = tab;
    this.#url = url;
    this.#protocols = protocols;
    this.#id = tab.add(this);
    this.#open();
  }
  /** @param {string} data */
  send(data) {
    if (this.readyState === 1) this.#tab.say({ kind: "send", socket: this.#id, data });
  }
  close() {
    if (this.readyState > 1) return;
    this.readyState = 2;
    this.#tab.say({ kind: "close", socket: this.#id });
    queueMicrotask(() => this.#end(1e3, ""));
  }
  /**
   * There is a new leader.
   *
   * @param {string} leader
   */
  follow(leader) {
    if (this.readyState === 0) this.#open();
    else if (this.#leader !== leader) this.#end(1012, "reconnect after 0 ms");
  }
  /** @param {TabMessage} message */
  hear({ kind, from, data, code = 1006, reason = "" }) {
    if (kind === "opened" && this.readyState === 0) {
      this.#leader = from;
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    } else if (kind === "message" && this.readyState === 1) {
      this.dispatchEvent(Object.assign(new Event("message"), { data }));
    } else if (kind === "error") {
      this.dispatchEvent(new Event("error"));
    } else if (kind === "closed") {
      this.#end(code, reason);
    }
  }
  #open() {
    const protocols = this.#protocols;
    this.#tab.say({ kind: "open", socket: this.#id, url: this.#url, ...protocols && { protocols } });
  }
  /**
   * @param {number} code
   * @param {string} reason
   */
  #end(code, reason) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.#tab.remove(this.#id);
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  SharedSocket,
  sharedWebSocket
});
