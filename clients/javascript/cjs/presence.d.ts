/**
 * Presence in a channel.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import type { ClientError } from './errors.js';
import type { LiveClient } from './live-client.js';
import type { Subscription } from './subscription.js';
import type { PresenceMember, User } from './wire.js';
export type PresenceEvents<D = any, U = User> = {
    /**
     * The members, after each change.
     */
    change: readonly PresenceMember<D, U>[];
    /**
     * The server refuses, as for a channel that has no presence.
     */
    refused: ClientError;
};
/**
 * @template [D=any]
 * @template [U=User]
 * @typedef {object} PresenceEvents
 * @property {readonly PresenceMember<D, U>[]} change The members, after each change.
 * @property {ClientError} refused The server refuses, as for a channel that has no presence.
 */
/**
 * The members of a channel with their devices: a list that stays true across lost connections.
 *
 * @example
 * const presence = new Presence(live, 'presence-room-7');
 * presence.on('change', (members) => show(members));
 * presence.update({ status: 'away' });
 *
 * @template [D=any] What devices tell about themselves.
 * @template [U=User] What the server shows of a user; a claim that nobody checks.
 * @extends {Emitter<PresenceEvents<D, U>>}
 */
export declare class Presence<D = any, U = User> extends Emitter<PresenceEvents<D, U>> {
    #private;
    constructor(live: LiveClient<any>, channel: string);
    constructor(subscription: Subscription);
    /**
     * The members, in the order in which they came, this user included. While disconnected: those
     * of the lost connection. The same array until something changes.
     *
     * @returns {readonly PresenceMember<D, U>[]}
     */
    get members(): readonly PresenceMember<D, U>[];
    /**
     * Tells the others something about this device, now and after each reconnect.
     *
     * @param {D} data Anything that JSON can say.
     */
    update(data: D): void;
    /**
     * The others who are typing in the channel, in the order in which they came: those who said so by
     * `setTyping`, each once.
     *
     * @returns {U[]}
     */
    get typingUsers(): U[];
    /**
     * Tells the others whether somebody is typing here; may be called at each key press. It is told when it
     * changes, and ends by itself six seconds after the last call. What `update` tells beside it must be an object.
     *
     * @param {boolean} isTyping
     */
    setTyping(isTyping: boolean): void;
    /** Stops listening. The subscription stays. */
    close(): void;
}
