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
var request_database_exports = {};
__export(request_database_exports, {
  RequestDatabase: () => RequestDatabase
});
module.exports = __toCommonJS(request_database_exports);
const TABLE = "requests";
class RequestDatabase {
  #open;
  /** @type {Promise<IDBDatabase> | null} */
  #opened = null;
  /** The places of those that are kept, by their ids. @type {Map<string, number>} */
  #orders = /* @__PURE__ */ new Map();
  #last = 0;
  /**
   * @param {string} name
   * @param {{ open: (name: string, version?: number) => any }} [indexedDB]
   */
  constructor(name, indexedDB = globalThis.indexedDB) {
    this.#open = async () => {
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE, { keyPath: "id" });
      const database = await done(opening);
      database.onclose = () => this.#forget();
      database.onversionchange = () => {
        database.close();
        this.#forget();
      };
      return database;
    };
  }
  /**
   * @returns {Promise<StoredRequest[]>} Oldest first.
   */
  async load() {
    const rows = await this.#do("readonly", (table) => table.getAll());
    return rows.sort((a, b) => a.order - b.order).map(({ order, ...request }) => {
      this.#orders.set(request.id, order);
      this.#last = Math.max(this.#last, order);
      return request;
    });
  }
  /**
   * Adds a request, or replaces it in its place.
   *
   * A page that goes before has lost the request, unless it was the only one on its way into an
   * open database.
   *
   * @param {StoredRequest} request
   * @returns {Promise<void>} When it is kept.
   */
  async put(request) {
    const order = this.#orders.get(request.id) ?? (this.#last = Math.max(this.#last + 1, Date.now()));
    this.#orders.set(request.id, order);
    await this.#do("readwrite", (table) => table.put({ ...request, order }));
  }
  /**
   * @param {string} id
   * @returns {Promise<void>}
   */
  async remove(id) {
    this.#orders.delete(id);
    await this.#do("readwrite", (table) => table.delete(id));
  }
  /**
   * Begins a transaction. The browser may have closed the database, also without a word; then it is
   * opened again.
   *
   * @param {IDBTransactionMode} mode
   */
  async #begin(mode) {
    const known = this.#opened;
    try {
      return (await this.#database()).transaction(TABLE, mode);
    } catch (error) {
      if (!known) throw error;
      this.#forget();
      return (await this.#database()).transaction(TABLE, mode);
    }
  }
  #database() {
    this.#opened ??= this.#open().catch((error) => {
      this.#forget();
      throw error;
    });
    return this.#opened;
  }
  #forget() {
    this.#opened = null;
  }
  /**
   * @param {IDBTransactionMode} mode
   * @param {(table: IDBObjectStore) => IDBRequest} work
   */
  async #do(mode, work) {
    const transaction = await this.#begin(mode);
    const request = work(transaction.objectStore(TABLE));
    transaction.commit();
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    return request.result;
  }
}
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  RequestDatabase
});
