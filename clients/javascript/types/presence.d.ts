/**
 * Presence in a channel.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import type { ClientError } from './errors.js';
import type { LiveClient } from './live-client.js';
import type { Subscription } from './subscription.js';
import type { PresenceMember } from './wire.js';
export type PresenceEvents<D = any> = {
    /**
     * The members, after each change.
     */
    change: readonly PresenceMember<D>[];
    /**
     * The server refuses, as for a channel that has no presence.
     */
    refused: ClientError;
};
/** @import { ClientError } from './errors.js' */
/** @import { LiveClient } from './live-client.js' */
/** @import { Subscription } from './subscription.js' */
/** @import { PresenceMember } from './wire.js' */
/**
 * @template [D=any]
 * @typedef {object} PresenceEvents
 * @property {readonly PresenceMember<D>[]} change The members, after each change.
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
 * @extends {Emitter<PresenceEvents<D>>}
 */
export declare class Presence<D = any> extends Emitter<PresenceEvents<D>> {
    #private;
    constructor(live: LiveClient<any>, channel: string);
    constructor(subscription: Subscription);
    /**
     * The members, in the order in which they came, this user included. While disconnected: those
     * of the lost connection. The same array until something changes.
     *
     * @returns {readonly PresenceMember<D>[]}
     */
    get members(): readonly PresenceMember<D>[];
    /**
     * Tells the others something about this device, now and after each reconnect.
     *
     * @param {D} data Anything that JSON can say.
     */
    update(data: D): void;
    /** Stops listening. The subscription stays. */
    close(): void;
}
