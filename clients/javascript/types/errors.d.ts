/**
 * Errors, on the client's side and on the wire.
 *
 * @module
 */
/**
 * The values of `ClientError.code`.
 */
export declare const ErrorCode: Readonly<{
    /** The platform has no WebSocket and none was passed in. */
    NoWebSocket: "no-websocket";
    /** An address, room or channel name that cannot be used. */
    InvalidAddress: "invalid-address";
    /** An option outside its range. */
    InvalidOption: "invalid-option";
    /** The server sent something that is not a JSON object in a text message. */
    InvalidMessage: "invalid-message";
    /** The transport reported an error; `cause` holds it where the platform tells. */
    Transport: "transport";
    /** The server refuses a request; `cause` is its answer. */
    Refused: "refused";
    /** No answer to a request in time. Whether it was executed is not known, if it went out. */
    Timeout: "timeout";
    /**
     * A request went out, the connection was lost before the answer came, and repeating it could
     * execute it twice.
     */
    Unconfirmed: "unconfirmed";
    /** The server does not answer requests by their `id`. */
    Unsupported: "unsupported";
    /** The outbox could not be read; `cause` holds the error. */
    Store: "store";
    /** Too many requests wait for their answers, or too many updates for their reader. */
    Overflow: "overflow";
    /** The client was closed, or gave up, before the answer came. */
    Closed: "closed";
    /**
     * There is no token to be had. An address or token function throws this to stop the
     * client for good: its state becomes `failed` with the reason `unauthorized`.
     */
    Unauthorized: "unauthorized";
}>;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
/** @typedef {(typeof ErrorCode)[keyof typeof ErrorCode]} ErrorCode */
/**
 * @param {boolean} valid
 * @throws {ClientError} `invalid-option`
 */
export declare function checkOptions(valid: boolean): void;
/**
 * An error of this package; `code` says which.
 */
export declare class ClientError extends Error {
    /**
     * Which error it is.
     *
     * @readonly
     * @type {ErrorCode}
     */
    code: ErrorCode;
    /**
     * @param {ErrorCode} code
     * @param {string} message
     * @param {{ cause?: unknown }} [options]
     */
    constructor(code: ErrorCode, message: string, options?: {
        cause?: unknown;
    });
}
