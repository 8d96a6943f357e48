/**
 * The state of presence: a snapshot, and the changes since.
 *
 * @module
 */
import type { PresenceDiff, PresenceMember, PresenceSnapshot } from './wire.js';
/**
 * The members of a channel, put together from what the server sends, in whichever order it
 * comes: changes that are older than the snapshot are left out, newer ones wait for it. A snapshot
 * may come in pages, and changes between them.
 */
export declare class PresenceState {
    #private;
    /**
     * The members, in the order in which they came. The same array until something changes.
     *
     * @returns {readonly PresenceMember[]}
     */
    get list(): readonly PresenceMember[];
    /**
     * Marks the list as old: the next snapshot replaces it.
     *
     * @returns {number} The place at which the page begins that is to be asked for.
     */
    forget(): number;
    /**
     * Forgets everybody.
     *
     * @returns {boolean} Whether anybody was there.
     */
    clear(): boolean;
    /**
     * Takes a snapshot or a page of one. The list is replaced when the last page is there.
     *
     * @param {PresenceSnapshot} snapshot
     * @returns {number | null} The place at which the page begins that is to be asked for; `null` if
     *   there is none. 0 means that another snapshot is needed.
     */
    snapshot({ members, version, after, next }: PresenceSnapshot): number | null;
    /**
     * @param {PresenceDiff} diff
     * @returns {boolean} Whether it fits; if not, a snapshot is needed.
     */
    diff(diff: PresenceDiff): boolean;
}
