/**
 * A connection that tabs share.
 *
 * @module
 */
import { TabLane } from './tab-lane.js';
import type { Timers, WebSocketLike } from './environment.js';
import type { WireMessage } from './message.js';
import type { Since } from './position.js';
import type { TabMessage } from './tab.js';
export type Channel = {
    /**
     * Those that are subscribed.
     */
    sockets: Set<string>;
    /**
     * Those that asked, in order; the first was passed on.
     */
    waiting: Request[];
    /**
     * Where the shared connection stands; `null`: not subscribed, or
     * no positions.
     */
    since: Since | null;
    subscribed: boolean;
    /**
     * Whether the server tells its state to those who begin there.
     */
    initial?: boolean;
    /**
     * Whether the server has subscribed the line of its own accord.
     */
    joined?: boolean;
    /**
     * The socket that has it.
     */
    lane: TabLane;
};
export type Request = {
    socket: string;
    message: WireMessage;
    cancelled?: boolean;
};
/**
 * A connection to the server, and the sockets of tabs that it stands for.
 *
 * To the server it looks like one client: channels are subscribed once, and left with the last
 * tab that listens. When one socket has as many channels as it may have, another one is opened for
 * more. A tab that comes with a position of its own makes the hub subscribe anew from
 * there; the others drop by offset what they have already.
 */
export declare class TabLine {
    #private;
    /** @type {Set<string>} */
    sockets: Set<string>;
    /**
     * @param {object} options
     * @param {() => WebSocketLike} options.open Opens a socket.
     * @param {(message: Omit<TabMessage, 'from'>) => void} options.tell
     * @param {() => void} options.ended
     * @param {Timers} options.timers
     * @param {() => number} options.now
     */
    constructor(options: {
        open: () => WebSocketLike;
        tell: (message: Omit<TabMessage, 'from'>) => void;
        ended: () => void;
        timers: Timers;
        now: () => number;
    });
    /** @param {string} socket */
    join(socket: string): void;
    /** @param {string} socket */
    leave(socket: string): void;
    /**
     * @param {string} socket
     * @param {string} data
     */
    send(socket: string, data: string): void;
}
