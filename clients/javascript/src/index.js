/**
 * The client of NextRush servers, for browsers and Node.
 *
 * @module
 */

export { ChatClient } from './chat-client.js';
export { Client } from './client.js';
export { ClientError, ErrorCode } from './errors.js';
export { LiveClient } from './live-client.js';
export { Reason, State } from './states.js';
export { Subscription, SubscriptionState } from './subscription.js';

/** @typedef {import('./address.js').TokenSource} TokenSource */
/** @typedef {import('./backoff.js').BackoffOptions} BackoffOptions */
/** @typedef {import('./chat-client.js').ChatClientOptions} ChatClientOptions */
/** @typedef {import('./client.js').Address} Address */
/** @typedef {import('./client.js').ClientOptions} ClientOptions */
/** @typedef {import('./client.js').Retry} Retry */
/** @typedef {import('./client.js').StateChange} StateChange */
/** @typedef {import('./environment.js').WebSocketConstructor} WebSocketConstructor */
/** @typedef {import('./environment.js').WebSocketLike} WebSocketLike */
/** @typedef {import('./live-client.js').LiveClientOptions} LiveClientOptions */
/** @typedef {import('./message.js').WireMessage} WireMessage */
/** @typedef {import('./wire.js').ChatMessage} ChatMessage */
/** @typedef {import('./wire.js').ErrorMessage} ErrorMessage */
/** @typedef {import('./wire.js').PrivateMessage} PrivateMessage */
/** @typedef {import('./wire.js').PrivateMessageSent} PrivateMessageSent */
/** @typedef {import('./wire.js').RoomHistory} RoomHistory */
/** @typedef {import('./wire.js').Typing} Typing */
/** @typedef {import('./wire.js').Update} Update */
/** @typedef {import('./wire.js').User} User */
/** @typedef {import('./wire.js').UserId} UserId */
/** @typedef {import('./wire.js').UserJoined} UserJoined */
/** @typedef {import('./wire.js').UserLeft} UserLeft */
