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
var emitter_exports = {};
__export(emitter_exports, {
  Emitter: () => Emitter
});
module.exports = __toCommonJS(emitter_exports);
class Emitter {
  // A Map, because names come from the network: `__proto__` is a name like any other.
  /** @type {Map<PropertyKey, Set<(event: any) => void>>} */
  #listeners = /* @__PURE__ */ new Map();
  /** @type {[PropertyKey, unknown][]} */
  #queue = [];
  #emitting = false;
  /**
   * Calls `listener` for each event named `type`. Adding the same function twice for one
   * name has no effect.
   *
   * @template {keyof Events} K
   * @param {K} type
   * @param {(event: Events[K]) => void} listener
   * @returns {() => void} Removes the listener.
   */
  on(type, listener) {
    const listeners = this.#listeners.get(type) ?? /* @__PURE__ */ new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => this.off(type, listener);
  }
  /**
   * Removes a listener; unknown ones are ignored.
   *
   * @param {keyof Events} type
   * @param {(event: any) => void} listener
   */
  off(type, listener) {
    this.#listeners.get(type)?.delete(listener);
  }
  /**
   * Calls the listeners of `type` in the order they were added. One that is removed
   * meanwhile is not called any more, one that is added meanwhile not yet.
   *
   * An event that a listener causes waits until the present one has reached everybody, so
   * that all see the events in the order in which they happened.
   *
   * @protected
   * @param {PropertyKey} type
   * @param {unknown} event
   */
  emit(type, event) {
    this.#queue.push([type, event]);
    if (this.#emitting) return;
    this.#emitting = true;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const listeners = this.#listeners.get(next[0]);
      for (const listener of [...listeners ?? []]) {
        if (!listeners?.has(listener)) continue;
        try {
          listener(next[1]);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
    this.#emitting = false;
  }
}
// Annotate the CommonJS export names for ESM import in node:
0 && (module.exports = {
  Emitter
});
