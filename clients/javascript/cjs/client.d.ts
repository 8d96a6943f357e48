/**
 * Messages and requests over a connection that comes back.
 *
 * @module
 */
import { Session } from './session.js';
import type { Address } from './connection.js';
import type { ClientOptions } from './session.js';
import type { ErrorMessage } from './wire.js';
/** @import { Address } from './connection.js' */
/** @import { ClientOptions, RequestKeeper } from './session.js' */
/** @import { ErrorMessage } from './wire.js' */
/**
 * A connection to one endpoint that speaks JSON objects, and is opened again whenever it is
 * lost.
 *
 * `on(type, listener)` receives the messages whose field `type` is `type`, and the client's
 * own events (`message`, `state`, `retry`, `fault`, `restored`). A message whose type is the
 * name of one of the client's own events arrives as `message` only.
 *
 * A `request` waits for a connection, and goes out again on the next one if the connection is lost
 * before the answer comes; the server executes it once.
 *
 * @example
 * const client = new Client('/robust-chat/lobby');
 * client.on('state', ({ state, reason }) => console.log(state, reason));
 * client.on('error', ({ message }) => console.error(message));
 * client.connect();
 *
 * @template {object} [Messages={}] The messages by their `type`; `AnyMessages` for names that nobody checks.
 * @extends {Session<{ error: ErrorMessage } & Messages>}
 */
export declare class Client<Messages extends object = {}> extends Session<{
    error: ErrorMessage;
} & Messages> {
    #private;
    /**
     * @param {Address} address
     * @param {ClientOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`
     */
    constructor(address: Address, options?: ClientOptions);
    /**
     * @override
     * @protected
     */
    protected place(): string | undefined;
}
