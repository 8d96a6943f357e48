/**
 * Requests: messages that are answered, and executed once.
 *
 * @module
 */
import { Questions } from './questions.js';
import type { Pending, Scope } from './questions.js';
import type { MaybeToken, TokenSource } from './token.js';
import type { UserId } from './wire.js';
/** @import { Pending, Scope } from './questions.js' */
/** @import { MaybeToken, TokenSource } from './token.js' */
/** @import { UserId } from './wire.js' */
/**
 * The requests that wait for their answers, in the order in which they were made. They go out
 * as soon as there is a connection, and again on the next one if it was lost meanwhile: the
 * server answers a repeat from memory, as long as it remembers.
 *
 * A request is for one place and of one user. It goes nowhere else, and in nobody else's name.
 */
export declare class Requests extends Questions {
    #private;
    /**
     * The scope of the present attempt or connection.
     *
     * @protected
     * @type {Scope}
     */
    protected scope: Scope;
    /**
     * True while nothing may go out: what is being read is older.
     *
     * @protected
     */
    protected reading: boolean;
    /**
     * @override
     * @protected
     * @returns {Scope}
     */
    protected scopeOfNew(): Scope;
    /**
     * @override
     * @protected
     * @param {Pending} pending
     */
    protected begin(pending: Pending): void;
    /**
     * Keeps a request for the next page, or keeps it up to date.
     *
     * @protected
     * @param {Pending} _pending
     */
    protected keep(_pending: Pending): void;
    /**
     * The present scope is known better.
     *
     * @protected
     */
    protected entered(): void;
    /**
     * An attempt to connect begins. What waits for another place or user is given up.
     *
     * @override
     * @param {string} address
     * @param {MaybeToken} token
     * @param {TokenSource} source
     */
    enter(address: string, token: MaybeToken, source: TokenSource): void;
    /**
     * @override
     * @param {UserId} [id]
     */
    identify(id?: UserId): void;
    /**
     * Tells whether a request is for another place or of another user, as far as they are known.
     *
     * @protected
     * @param {Pending} pending
     */
    protected isForeign({ place, user, source, restored }: Pending): boolean;
    /**
     * Everything goes out that has no answer yet.
     *
     * @override
     */
    opened(): void;
    /**
     * The connection is over. Requests wait for the next one, unless this is the end.
     *
     * @override
     * @param {boolean} isEnd
     */
    released(isEnd: boolean): void;
    /**
     * Sends what was not sent on this connection.
     *
     * @protected
     */
    protected flush(): void;
    /**
     * Sends a request, unless the server may have forgotten that it was sent before.
     *
     * @override
     * @protected
     * @param {Pending} pending
     * @param {boolean} repeat
     */
    protected resend(pending: Pending, repeat: boolean): void;
    /**
     * @override
     * @protected
     * @param {Pending} pending
     */
    protected dispatch(pending: Pending): boolean;
}
