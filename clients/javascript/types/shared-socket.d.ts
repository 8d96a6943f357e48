/**
 * A connection for all tabs of a site.
 *
 * @module
 */
import { Tab } from './tab.js';
import type { Timers, WebSocketConstructor, WebSocketLike } from './environment.js';
import type { TabMessage } from './tab.js';
export type Platform = {
    WebSocket?: WebSocketConstructor;
    locks?: LockManager;
    BroadcastChannel?: typeof BroadcastChannel;
    timers?: Timers;
    now?: () => number;
};
/** @import { Timers, WebSocketConstructor, WebSocketLike } from './environment.js' */
/** @import { TabMessage } from './tab.js' */
/**
 * @typedef {object} Platform
 * @property {WebSocketConstructor} [WebSocket]
 * @property {LockManager} [locks]
 * @property {typeof BroadcastChannel} [BroadcastChannel]
 * @property {Timers} [timers]
 * @property {() => number} [now]
 */
/**
 * A `WebSocket` for `LiveClient` that all tabs share: one of them, the leader, holds the only
 * connection, and passes on what the others send and get. When the leader is closed, another
 * tab takes over, and everybody goes on from where they stood.
 *
 * The name must tell one signed-in user from another, because the tabs share the connection of
 * whoever connects first. Only the endpoint `/live` is shared. Where the platform has no Web Locks or no BroadcastChannel (also pages
 * without HTTPS), this is the platform's own `WebSocket`.
 *
 * @example
 * const live = new LiveClient(token, { WebSocket: sharedWebSocket(`live of ${user.id}`) });
 *
 * @param {string} name
 * @param {Platform} [platform] Default: the platform's own.
 * @returns {WebSocketConstructor}
 */
export declare function sharedWebSocket(name: string, { WebSocket, locks, BroadcastChannel, timers, now, }?: Platform): WebSocketConstructor;
/**
 * Looks like a WebSocket, and is a conversation with the leader.
 *
 * @implements {WebSocketLike}
 */
export declare class SharedSocket extends EventTarget implements WebSocketLike {
    #private;
    readyState: number;
    /**
     * @param {Tab} tab
     * @param {string} url
     * @param {string[]} [protocols]
     */
    constructor(tab: Tab, url: string, protocols?: string[]);
    /** @param {string} data */
    send(data: string): void;
    close(): void;
    /**
     * There is a new leader.
     *
     * @param {string} leader
     */
    follow(leader: string): void;
    /** @param {TabMessage} message */
    hear({ kind, from, data, code, reason }: TabMessage): void;
}
