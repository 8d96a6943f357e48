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
var client_exports = {};
__export(client_exports, {
  Client: () => Client
});
module.exports = __toCommonJS(client_exports);
var import_requests = require("./requests.js");
var import_session = require("./session.js");
class Client extends import_session.Session {
  /**
   * @override
   * @internal
   * @type {RequestKeeper['requests']}
   */
  static requests = (options) => new import_requests.Requests(options);
  /** A fixed address. @type {string | undefined} */
  #place;
  /**
   * @param {Address} address
   * @param {ClientOptions} [options]
   * @throws {ClientError} `invalid-address`, `invalid-option`
   */
  constructor(address, options) {
    super(address, options);
    if (typeof address === "string") this.#place = address;
  }
  /**
   * @override
   * @protected
   */
  place() {
    return this.#place;
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Client
});
