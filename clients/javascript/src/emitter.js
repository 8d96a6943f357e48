/**
 * Events by name.
 *
 * @module
 */

/**
 * Calls listeners by the name of an event.
 *
 * A listener that throws disturbs neither the other listeners nor the emitter; its error
 * surfaces as an uncaught one.
 *
 * @template {object} Events The payload of each event.
 */
export class Emitter {
  // A Map, because names come from the network: `__proto__` is a name like any other.
  /** @type {Map<PropertyKey, Set<(event: any) => void>>} */
  #listeners = new Map();
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
    const listeners = this.#listeners.get(type) ?? new Set();
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
      for (const listener of [...(listeners ?? [])]) {
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
