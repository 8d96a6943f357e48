/**
 * The state of presence: a snapshot, and the changes since.
 *
 * @module
 */
import type { PresenceDiff, PresenceMember, PresenceSnapshot } from './wire.js';
/**
 * The members of a channel, put together from what the server sends, in whichever order it
 * comes: changes that are older than the snapshot are left out, newer ones wait for it.
 */
export declare class PresenceState {
    #private;
    /**
     * The members, in the order in which they came. The same array until something changes.
     *
     * @returns {readonly PresenceMember[]}
     */
    get list(): readonly PresenceMember[];
    /** Marks the list as old: the next snapshot replaces it. */
    forget(): void;
    /**
     * @param {PresenceSnapshot} snapshot
     * @returns {boolean} Whether the changes that had come fit on it; if not, another snapshot is
     *   needed.
     */
    snapshot({ members, version }: PresenceSnapshot): boolean;
    /**
     * @param {PresenceDiff} diff
     * @returns {boolean} Whether it fits; if not, a snapshot is needed.
     */
    diff(diff: PresenceDiff): boolean;
}
