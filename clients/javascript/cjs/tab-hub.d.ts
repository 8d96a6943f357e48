/**
 * The leader's side of a connection that tabs share.
 *
 * @module
 */
import type { Timers, WebSocketConstructor } from './environment.js';
import type { TabMessage } from './tab.js';
export type HubOptions = {
    WebSocket: WebSocketConstructor;
    /**
     * Reaches every tab, this one included.
     */
    tell: (message: TabMessage) => void;
    timers: Timers;
    now: () => number;
    /**
     * Calls back when a tab is closed.
     */
    gone: (tab: string, callback: () => void) => void;
};
/** @import { Timers, WebSocketConstructor } from './environment.js' */
/** @import { TabMessage } from './tab.js' */
/**
 * @typedef {object} HubOptions
 * @property {WebSocketConstructor} WebSocket
 * @property {(message: TabMessage) => void} tell Reaches every tab, this one included.
 * @property {Timers} timers
 * @property {() => number} now
 * @property {(tab: string, callback: () => void) => void} gone Calls back when a tab is closed.
 */
/**
 * Joins the sockets of all tabs in one connection to each address.
 */
export declare class TabHub {
    #private;
    /** @param {HubOptions} options */
    constructor(options: HubOptions);
    /** Tells the tabs that there is a leader. */
    announce(): void;
    /** @param {TabMessage} message */
    hear({ kind, from, socket, url, protocols, data }: TabMessage): void;
}
