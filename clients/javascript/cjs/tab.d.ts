/**
 * A tab among those that share a connection.
 *
 * @module
 */
import type { Timers, WebSocketConstructor } from './environment.js';
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
export type Locks = {
    request: (name: string, callback: () => any) => Promise<any>;
};
export type Channel = {
    onmessage: ((event: any) => void) | null;
    postMessage: (message: any) => void;
};
export type ChannelConstructor = new (name: string) => Channel;
export type TabSocket = {
    /**
     * There is a new leader.
     */
    follow: (leader: string) => void;
    hear: (message: TabMessage) => void;
};
/** @import { Timers, WebSocketConstructor } from './environment.js' */
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
/**
 * The part of `LockManager` that tabs use.
 *
 * @typedef {object} Locks
 * @property {(name: string, callback: () => any) => Promise<any>} request
 */
/**
 * The part of a `BroadcastChannel` that tabs use.
 *
 * @typedef {object} Channel
 * @property {((event: any) => void) | null} onmessage
 * @property {(message: any) => void} postMessage
 */
/** @typedef {new (name: string) => Channel} ChannelConstructor */
/**
 * A socket of this tab, which the leader speaks to.
 *
 * @typedef {object} TabSocket
 * @property {(leader: string) => void} follow There is a new leader.
 * @property {(message: TabMessage) => void} hear
 */
/** This tab among the others. */
export declare class Tab {
    #private;
    id: string;
    /**
     * @param {string} name
     * @param {WebSocketConstructor} WebSocket
     * @param {Locks} locks
     * @param {ChannelConstructor} Channel
     * @param {{ timers: Timers, now: () => number }} clock
     */
    constructor(name: string, WebSocket: WebSocketConstructor, locks: Locks, Channel: ChannelConstructor, clock: {
        timers: Timers;
        now: () => number;
    });
    /**
     * @param {TabSocket} socket
     * @returns {string}
     */
    add(socket: TabSocket): string;
    /** @param {string} socket */
    remove(socket: string): void;
    /** @param {Omit<TabMessage, 'from'>} message */
    say(message: Omit<TabMessage, 'from'>): void;
}
