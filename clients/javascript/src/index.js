/**
 * The client of NextRush servers, for browsers and Node.
 *
 * @module
 */

export { ChatClient } from './chat-client.js';
export { Client } from './client.js';
export { ClientError, ErrorCode } from './errors.js';
export { hold, listen } from './listen.js';
export { LiveClient } from './live-client.js';
export { Outbox } from './outbox.js';
export { Presence } from './presence.js';
export { Reason, State } from './states.js';
export { Subscription, SubscriptionState } from './subscription.js';
export { TypingUsers } from './typing.js';

/** @typedef {import('./backoff.js').BackoffOptions} BackoffOptions */
/** @typedef {import('./chat-client.js').ChatClientOptions} ChatClientOptions */
/** @typedef {import('./connection.js').Address} Address */
/** @typedef {import('./connection.js').Retry} Retry */
/** @typedef {import('./connection.js').StateChange} StateChange */
/** @typedef {import('./environment.js').Fetch} Fetch */
/** @typedef {import('./environment.js').Network} Network */
/** @typedef {import('./environment.js').Page} Page */
/** @typedef {import('./environment.js').Timers} Timers */
/** @typedef {import('./environment.js').WebSocketConstructor} WebSocketConstructor */
/** @typedef {import('./environment.js').WebSocketLike} WebSocketLike */
/** @typedef {import('./errors.js').WireCode} WireCode */
/** @typedef {import('./kept-requests.js').RequestStore} RequestStore */
/** @typedef {import('./kept-requests.js').StoredRequest} StoredRequest */
/** @typedef {import('./live-client.js').HistoryOptions} HistoryOptions */
/** @typedef {import('./live-client.js').LiveClientOptions} LiveClientOptions */
/** @typedef {import('./message.js').AnyMessages} AnyMessages */
/** @typedef {import('./message.js').WireMessage} WireMessage */
/** @typedef {import('./position.js').Gap} Gap */
/** @typedef {import('./position.js').GapReason} GapReason */
/** @typedef {import('./position.js').Since} Since */
/** @typedef {import('./questions.js').RequestOptions} RequestOptions */
/** @typedef {import('./session.js').ClientOptions} ClientOptions */
/** @typedef {import('./session.js').RequestKeeper} RequestKeeper */
/** @typedef {import('./session.js').Restored} Restored */
/**
 * The common base of `Client`, `ChatClient` and `LiveClient`.
 *
 * @template {object} [Messages={}]
 * @typedef {import('./session.js').Session<Messages>} Session
 */
/** @typedef {import('./subscription.js').SubscribeOptions} SubscribeOptions */
/** @typedef {import('./token.js').TokenSource} TokenSource */
/** @template [T=any] @typedef {import('./wire.js').ChannelHistory<T>} ChannelHistory */
/** @typedef {import('./wire.js').ChatMessage} ChatMessage */
/** @typedef {import('./wire.js').ErrorMessage} ErrorMessage */
/** @template [I=any] @typedef {import('./wire.js').Initial<I>} Initial */
/** @typedef {import('./wire.js').OlderMessages} OlderMessages */
/** @template [D=any] @template [U=import('./wire.js').User] @typedef {import('./wire.js').PresenceMember<D, U>} PresenceMember */
/** @typedef {import('./wire.js').PrivateMessage} PrivateMessage */
/** @typedef {import('./wire.js').PrivateMessageSent} PrivateMessageSent */
/** @template [T=any] @typedef {import('./wire.js').Publication<T>} Publication */
/** @typedef {import('./wire.js').RoomHistory} RoomHistory */
/** @typedef {import('./wire.js').Typing} Typing */
/** @template [T=any] @typedef {import('./wire.js').Update<T>} Update */
/** @typedef {import('./wire.js').User} User */
/** @typedef {import('./wire.js').UserId} UserId */
/** @typedef {import('./wire.js').UserJoined} UserJoined */
/** @typedef {import('./wire.js').UserLeft} UserLeft */
