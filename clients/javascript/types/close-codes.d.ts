/**
 * What a close code (RFC 6455 §7.4, IANA's registry for 1012 and 1013) means for the client.
 *
 * @module
 */
import { Reason } from './states.js';
export type Verdict = {
    /**
     * Whether the client comes back by itself.
     */
    reconnect: boolean;
    reason: Reason;
};
/**
 * What to do after the server, or the network, closed the connection with `code`.
 *
 * @param {number} code
 * @returns {Verdict}
 */
export declare function verdict(code: number): Verdict;
