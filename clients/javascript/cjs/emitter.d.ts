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
export declare class Emitter<Events extends object> {
    #private;
    /**
     * Calls `listener` for each event named `type`. Adding the same function twice for one
     * name has no effect.
     *
     * @template {keyof Events} K
     * @param {K} type
     * @param {(event: Events[K]) => void} listener
     * @returns {() => void} Removes the listener.
     */
    on<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): () => void;
    /**
     * Removes a listener; unknown ones are ignored.
     *
     * @param {keyof Events} type
     * @param {(event: any) => void} listener
     */
    off(type: keyof Events, listener: (event: any) => void): void;
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
    protected emit(type: PropertyKey, event: unknown): void;
}
