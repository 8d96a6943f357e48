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
var outbox_exports = {};
__export(outbox_exports, {
  Outbox: () => Outbox
});
module.exports = __toCommonJS(outbox_exports);
var import_kept_requests = require("./kept-requests.js");
var import_request_database = require("./request-database.js");
var import_requests = require("./requests.js");
class Outbox {
  #store;
  /**
   * @param {string | RequestStore} [store] The name of a database in the browser (IndexedDB), or a
   *   store of your own. Default: none.
   * @param {{ indexedDB?: { open: (name: string, version?: number) => any } }} [options] Default: the platform's own.
   */
  constructor(store, { indexedDB } = {}) {
    this.#store = typeof store === "string" ? new import_request_database.RequestDatabase(`nextrush-outbox:${store}`, indexedDB) : store;
  }
  /**
   * The requests of a client, which are kept here; for the client.
   *
   * @param {QuestionsOptions} options
   * @returns {Requests}
   */
  requests(options) {
    return this.#store ? new import_kept_requests.KeptRequests(this.#store, options) : new import_requests.Requests(options);
  }
  /**
   * @returns {Promise<StoredRequest[]>} Oldest first.
   */
  async load() {
    return this.#store?.load() ?? [];
  }
  /**
   * Adds a request, or replaces it in its place.
   *
   * @param {StoredRequest} request
   * @returns {Promise<unknown>} When it is kept.
   */
  async put(request) {
    return this.#store?.put(request);
  }
  /**
   * @param {string} id
   * @returns {Promise<unknown>}
   */
  async remove(id) {
    return this.#store?.remove(id);
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Outbox
});
