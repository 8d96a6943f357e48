/**
 * Presence in a channel.
 *
 * @module
 */
import { Emitter } from './emitter.js';
import type { ClientError } from './errors.js';
import type { LiveClient } from './live-client.js';
import type { PresenceMember } from './wire.js';
export type PresenceEvents = {
    /**
     * The members, after each change.
     */
    change: readonly PresenceMember[];
    /**
     * The server refuses, as for a channel that has no presence.
     */
    refused: ClientError;
};
/** @import { ClientError } from './errors.js' */
/** @import { LiveClient } from './live-client.js' */
/** @import { PresenceMember } from './wire.js' */
/**
 * @typedef {object} PresenceEvents
 * @property {readonly PresenceMember[]} change The members, after each change.
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
 * @extends {Emitter<PresenceEvents>}
 */
export declare class Presence extends Emitter<PresenceEvents> {
    #private;
    /**
     * Subscribes to the channel, if that is not done yet.
     *
     * @param {LiveClient} live
     * @param {string} channel
     */
    constructor(live: LiveClient, channel: string);
    /**
     * The members, in the order in which they came, this user included. While disconnected: those
     * of the lost connection. The same array until something changes.
     *
     * @returns {readonly PresenceMember[]}
     */
    get members(): readonly PresenceMember[];
    /**
     * Tells the others something about this device, now and after each reconnect.
     *
     * @param {unknown} data Anything that JSON can say.
     */
    update(data: unknown): void;
    /** Stops listening. The subscription stays. */
    close(): void;
}
