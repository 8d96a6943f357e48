/**
 * Tokens, and when they end.
 *
 * @module
 */
export type MaybeToken = string | null | undefined;
export type TokenSource = MaybeToken | (() => MaybeToken | Promise<MaybeToken>);
/**
 * A token, or a function that gets one, asked before each attempt to connect and before the
 * present one expires. To say that there is none to be had, throw a `ClientError` with the code
 * `unauthorized`.
 *
 * @typedef {string | null | undefined} MaybeToken
 * @typedef {MaybeToken | (() => MaybeToken | Promise<MaybeToken>)} TokenSource
 */
/**
 * The expiry of a JSON Web Token (`exp`, RFC 7519 §4.1.4), in milliseconds since 1970.
 *
 * @param {MaybeToken} token
 * @returns {number} `NaN` for one that does not tell.
 */
export declare function expiryOf(token: MaybeToken): number;
/**
 * The time that a JSON Web Token was made for (`iat` to `exp`), in milliseconds.
 *
 * @param {MaybeToken} token
 * @returns {number} `Infinity` for one that does not tell.
 */
export declare function lifetimeOf(token: MaybeToken): number;
/**
 * The user that a JSON Web Token names.
 *
 * @param {TokenSource} token
 * @returns {string | undefined} As `userKey` makes it; none for a token that does not tell.
 */
export declare function userOf(token: TokenSource): string | undefined;
/**
 * A name for a user's id that tells the number 1 from the text "1".
 *
 * @param {unknown} id
 * @returns {string | undefined}
 */
export declare function userKey(id: unknown): string | undefined;
/**
 * The wait before the refresh of a token that lives so much longer: until its last fifth,
 * or its last minute. Ten seconds at least, because where the clock is wrong every token looks
 * old.
 *
 * @param {number} lifetimeMs
 * @returns {number}
 */
export declare function refreshDelay(lifetimeMs: number): number;
