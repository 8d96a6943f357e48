/**
 * A tab among those that share a connection.
 *
 * @module
 */
import type { Timers, WebSocketConstructor } from './environment.js';
import type { SharedSocket } from './shared-socket.js';
export type TabMessage = {
    kind: 'open' | 'send' | 'close' | 'opened' | 'message' | 'closed' | 'error' | 'leader';
    /**
     * The tab, or the leader.
     */
    from: string;
    /**
     * Sockets.
     */
    to?: string[];
    /**
     * The socket that says it.
     */
    socket?: string;
    url?: string;
    protocols?: string[];
    data?: string;
    code?: number;
    reason?: string;
};
/** @import { Timers, WebSocketConstructor } from './environment.js' */
/** @import { SharedSocket } from './shared-socket.js' */
/**
 * A message between tabs. `to` is absent where it concerns everybody.
 *
 * @typedef {object} TabMessage
 * @property {'open' | 'send' | 'close' | 'opened' | 'message' | 'closed' | 'error' | 'leader'} kind
 * @property {string} from The tab, or the leader.
 * @property {string[]} [to] Sockets.
 * @property {string} [socket] The socket that says it.
 * @property {string} [url]
 * @property {string[]} [protocols]
 * @property {string} [data]
 * @property {number} [code]
 * @property {string} [reason]
 */
/** This tab among the others. */
export declare class Tab {
    #private;
    id: string;
    /**
     * @param {string} name
     * @param {WebSocketConstructor} WebSocket
     * @param {LockManager} locks
     * @param {typeof BroadcastChannel} Channel
     * @param {{ timers: Timers, now: () => number }} clock
     */
    constructor(name: string, WebSocket: WebSocketConstructor, locks: LockManager, Channel: typeof BroadcastChannel, clock: {
        timers: Timers;
        now: () => number;
    });
    /**
     * @param {SharedSocket} socket
     * @returns {string}
     */
    add(socket: SharedSocket): string;
    /** @param {string} socket */
    remove(socket: string): void;
    /** @param {Omit<TabMessage, 'from'>} message */
    say(message: Omit<TabMessage, 'from'>): void;
}
