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
var tab_hub_exports = {};
__export(tab_hub_exports, {
  TabHub: () => TabHub
});
module.exports = __toCommonJS(tab_hub_exports);
var import_random_id = require("./random-id.js");
var import_tab_line = require("./tab-line.js");
class TabHub {
  #options;
  #id = (0, import_random_id.randomId)();
  /** @type {Map<string, TabLine>} */
  #lines = /* @__PURE__ */ new Map();
  /** The newest address and subprotocols of each line, one of which has the token. @type {Map<string, [string, string[] | undefined]>} */
  #urls = /* @__PURE__ */ new Map();
  /** @type {Set<string>} */
  #tabs = /* @__PURE__ */ new Set();
  /** @param {HubOptions} options */
  constructor(options) {
    this.#options = options;
  }
  /** Tells the tabs that there is a leader. */
  announce() {
    this.#tell({ kind: "leader" });
  }
  /** @param {TabMessage} message */
  hear({ kind, from, socket, url, protocols, data }) {
    if (socket === void 0) return;
    if (kind === "open" && url !== void 0) {
      this.#follow(from);
      this.#line(url, protocols).join(socket);
      return;
    }
    for (const line of this.#lines.values()) {
      if (!line.sockets.has(socket)) continue;
      if (kind === "send" && data !== void 0) line.send(socket, data);
      else if (kind === "close") line.leave(socket);
    }
  }
  /** @param {string} tab */
  #follow(tab) {
    if (this.#tabs.has(tab)) return;
    this.#tabs.add(tab);
    this.#options.gone(tab, () => {
      this.#tabs.delete(tab);
      for (const line of this.#lines.values()) {
        for (const socket of [...line.sockets]) if (socket.startsWith(`${tab}/`)) line.leave(socket);
      }
    });
  }
  /**
   * @param {string} url
   * @param {string[]} [protocols]
   */
  #line(url, protocols) {
    const address = new URL(url);
    address.searchParams.delete("token");
    this.#urls.set(address.href, [url, protocols]);
    const known = this.#lines.get(address.href);
    if (known) return known;
    const line = new import_tab_line.TabLine({
      ...this.#options,
      open: () => new this.#options.WebSocket(...this.#urls.get(address.href) ?? [url, protocols]),
      tell: (message) => this.#tell(message),
      ended: () => {
        if (this.#lines.get(address.href) === line) this.#lines.delete(address.href);
      }
    });
    this.#lines.set(address.href, line);
    return line;
  }
  /** @param {Omit<TabMessage, 'from'>} message */
  #tell(message) {
    this.#options.tell({ ...message, from: this.#id });
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  TabHub
});
