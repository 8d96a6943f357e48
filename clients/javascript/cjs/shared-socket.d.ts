/**
 * A connection for all tabs of a site.
 *
 * @module
 */
import type { Timers, WebSocketConstructor } from './environment.js';
import type { ChannelConstructor, Locks } from './tab.js';
export type Platform = {
    WebSocket?: WebSocketConstructor;
    /**
     * Web Locks, as `navigator.locks`.
     */
    locks?: Locks;
    BroadcastChannel?: ChannelConstructor;
    timers?: Timers;
    now?: () => number;
};
/** @import { Timers, WebSocketConstructor, WebSocketLike } from './environment.js' */
/** @import { ChannelConstructor, Locks, TabMessage } from './tab.js' */
/**
 * @typedef {object} Platform
 * @property {WebSocketConstructor} [WebSocket]
 * @property {Locks} [locks] Web Locks, as `navigator.locks`.
 * @property {ChannelConstructor} [BroadcastChannel]
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
