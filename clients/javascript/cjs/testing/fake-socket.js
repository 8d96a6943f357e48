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
var fake_socket_exports = {};
__export(fake_socket_exports, {
  FakeSocket: () => FakeSocket
});
module.exports = __toCommonJS(fake_socket_exports);
class FakeSocket extends EventTarget {
  readyState = 0;
  /** What the client sent, parsed. */
  sent = [];
  /** Its questions about the server itself, which are not among these. */
  hellos = [];
  /** The code the client closed with. */
  closedWith = null;
  constructor(url, protocols) {
    super();
    this.url = url;
    this.protocols = protocols;
  }
  send(data) {
    if (this.readyState === 0) throw new Error("InvalidStateError: still connecting");
    const message = JSON.parse(data);
    (message.type === "hello" ? this.hellos : this.sent).push(message);
  }
  close(code) {
    if (code !== void 0 && code !== 1e3 && !(code >= 3e3 && code <= 4999)) {
      throw new Error(`InvalidAccessError: ${code}`);
    }
    this.closedWith = code;
    this.readyState = 2;
  }
  /** The server accepts. */
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  /** The server sends a message. */
  receive(message) {
    this.receiveRaw(JSON.stringify(message));
  }
  receiveRaw(data) {
    this.#dispatch("message", { data });
  }
  /** The server or the network closes. */
  end(code, reason = "") {
    this.readyState = 3;
    this.#dispatch("close", { code, reason });
  }
  /** The connection breaks, as a browser tells it: first `error`, then `close`. */
  break(message) {
    this.#dispatch("error", message === void 0 ? {} : { message });
    this.end(1006);
  }
  #dispatch(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  FakeSocket
});
