/**
 * A socket to the server that tabs share.
 *
 * @module
 */
import type { Timers, WebSocketLike } from './environment.js';
import type { WireMessage } from './message.js';
/**
 * A socket of a shared connection, with some of the channels.
 */
export declare class TabLane {
    #private;
    /** The channels that it has, or was asked for. @type {Set<string>} */
    channels: Set<string>;
    /** The number of channels that it can have. */
    capacity: number;
    /**
     * @param {WebSocketLike} socket
     * @param {{ timers: Timers, now: () => number }} options
     */
    constructor(socket: WebSocketLike, { timers, now }: {
        timers: Timers;
        now: () => number;
    });
    get isOpen(): boolean;
    /** True if another channel may be asked for. */
    get hasRoom(): boolean;
    /** True if it has no channel any more. */
    get isIdle(): boolean;
    /** @param {string} text */
    send(text: string): void;
    /**
     * Asks for a channel. One that is just being left is asked for when that is confirmed: otherwise, if
     * the leaving was dropped, the server would take it for had already and ignore the position.
     *
     * @param {WireMessage} request
     */
    subscribe(request: WireMessage): void;
    /** @param {string} channel */
    unsubscribe(channel: string): void;
    /**
     * Asks for a sign of life.
     *
     * @param {boolean} byTab Whether a tab asks on this socket anyway.
     * @returns {boolean} Whether there was one since it was last asked, as far as one was due.
     */
    ping(byTab: boolean): boolean;
    /**
     * Tells whether nothing was heard for so long after a question.
     *
     * @param {number} ms
     */
    isSilentFor(ms: number): boolean;
    /**
     * Something came.
     *
     * @param {WireMessage | null} message
     * @param {() => void} resumed Called when the server takes messages again, after it has dropped some.
     */
    heard(message: WireMessage | null, resumed: () => void): void;
    close(): void;
}
