/**
 * Positions in streams.
 *
 * @module
 */
export type Since = {
    epoch: string;
    offset: number;
};
export type Gap = {
    type: 'gap';
    reason: GapReason;
    /**
     * Offset of the first that is missing. Absent where the stream is a new
     * one, or the server keeps no positions: then any number may be missing.
     */
    from?: number;
    /**
     * Offset of the last.
     */
    to?: number;
};
export type GapReason = 'epoch' | 'history' | 'ahead' | 'slow' | 'skipped' | 'unknown';
export type Answer = {
    epoch?: unknown;
    offset?: unknown;
    recovered?: unknown;
    reason?: unknown;
    latest?: unknown;
};
/**
 * A place in a stream: which stream (`epoch`, new when the server lost the old one), and the
 * offset of the last publication that was received.
 *
 * @typedef {object} Since
 * @property {string} epoch
 * @property {number} offset
 */
/**
 * Publications that were missed and will not come.
 *
 * @typedef {object} Gap
 * @property {'gap'} type
 * @property {GapReason} reason
 * @property {number} [from] Offset of the first that is missing. Absent where the stream is a new
 *   one, or the server keeps no positions: then any number may be missing.
 * @property {number} [to] Offset of the last.
 */
/**
 * The reason for a gap. `epoch`: the server lost the stream and began a new one. `history`: it does
 * not remember, or not hand out, so many. `ahead`: the position is later than the stream.
 * `slow`: it could not send fast enough. `skipped`: offsets were left out without a word.
 * `unknown`: the server keeps no positions.
 *
 * @typedef {'epoch' | 'history' | 'ahead' | 'slow' | 'skipped' | 'unknown'} GapReason
 */
/**
 * The answer of the server to a position, when it lets a client in.
 *
 * @typedef {object} Answer
 * @property {unknown} [epoch]
 * @property {unknown} [offset]
 * @property {unknown} [recovered]
 * @property {unknown} [reason]
 * @property {unknown} [latest]
 */
/**
 * The position of a reader in a stream, across connections.
 */
export declare class Position {
    #private;
    /**
     * @param {Since | null} [since] Where to begin. Default: with what is published from now on.
     * @throws {import('./errors.js').ClientError} `invalid-option`
     */
    constructor(since?: Since | null);
    /**
     * The position at which the next connection goes on, if the server has told.
     *
     * @returns {Since | null}
     */
    get since(): Since | null;
    /**
     * A connection was let in.
     *
     * @param {Answer} answer
     * @returns {number | Gap | null} How many missed publications follow; what is missing; or
     *   `null` where nothing could be missed, at the very first time.
     */
    resume({ epoch, offset: top, recovered, reason, latest }: Answer): number | Gap | null;
    /**
     * A publication came.
     *
     * @param {unknown} offset
     * @returns {boolean | Gap} Whether it is new; or what is missing before it.
     */
    take(offset: unknown): boolean | Gap;
    /**
     * A publication was deleted: one that was received or, in its place, the next one.
     *
     * @param {unknown} offset
     */
    pass(offset: unknown): void;
    /**
     * The server says that the stream goes on under another epoch, in which positions of the one
     * before count up to an offset.
     *
     * @param {{ epoch?: unknown, offset?: unknown }} message
     * @returns {Gap | null} What is missing, if this position is beyond it.
     */
    renew({ epoch, offset }: {
        epoch?: unknown;
        offset?: unknown;
    }): Gap | null;
    /**
     * The server says that publications are lost.
     *
     * @param {{ from?: unknown, to?: unknown, epoch?: unknown }} message
     * @returns {Gap | null} What of it is news.
     */
    skip({ from, to, epoch }: {
        from?: unknown;
        to?: unknown;
        epoch?: unknown;
    }): Gap | null;
}
