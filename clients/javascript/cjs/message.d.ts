/**
 * Messages in general: JSON objects in text.
 *
 * @module
 */
export type WireMessage = {
    type?: unknown;
    [field: string]: any;
};
export type AnyMessages = {
    [type: string]: WireMessage;
};
/**
 * A JSON object from the server.
 *
 * @typedef {{ type?: unknown, [field: string]: any }} WireMessage
 */
/**
 * Messages of any type, for `Client<AnyMessages>`: the names of events are not checked.
 *
 * @typedef {{ [type: string]: WireMessage }} AnyMessages
 */
/**
 * Reads a message.
 *
 * @param {unknown} data What a WebSocket delivered.
 * @returns {WireMessage | null} `null` for anything but a JSON object in text.
 */
export declare function parseMessage(data: unknown): WireMessage | null;
/**
 * Writes a message.
 *
 * @param {object} message
 * @returns {string}
 * @throws {ClientError} `invalid-message`
 */
export declare function textOf(message: object): string;
