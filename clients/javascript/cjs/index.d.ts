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
export type BackoffOptions = import('./backoff.js').BackoffOptions;
export type ChatClientOptions = import('./chat-client.js').ChatClientOptions;
export type Address = import('./connection.js').Address;
export type Retry = import('./connection.js').Retry;
export type StateChange = import('./connection.js').StateChange;
export type Fetch = import('./environment.js').Fetch;
export type Network = import('./environment.js').Network;
export type Page = import('./environment.js').Page;
export type Timers = import('./environment.js').Timers;
export type WebSocketConstructor = import('./environment.js').WebSocketConstructor;
export type WebSocketLike = import('./environment.js').WebSocketLike;
export type WireCode = import('./errors.js').WireCode;
export type RequestStore = import('./kept-requests.js').RequestStore;
export type StoredRequest = import('./kept-requests.js').StoredRequest;
export type HistoryOptions = import('./live-client.js').HistoryOptions;
export type LiveClientOptions = import('./live-client.js').LiveClientOptions;
export type AnyMessages = import('./message.js').AnyMessages;
export type WireMessage = import('./message.js').WireMessage;
export type Gap = import('./position.js').Gap;
export type GapReason = import('./position.js').GapReason;
export type Since = import('./position.js').Since;
export type RequestOptions = import('./questions.js').RequestOptions;
export type ClientOptions = import('./session.js').ClientOptions;
export type RequestKeeper = import('./session.js').RequestKeeper;
export type Restored = import('./session.js').Restored;
export type Session<Messages extends object = {}> = import('./session.js').Session<Messages>;
export type SubscribeOptions = import('./subscription.js').SubscribeOptions;
export type TokenSource = import('./token.js').TokenSource;
export type ChannelHistory<T = any> = import('./wire.js').ChannelHistory<T>;
export type ChatMessage = import('./wire.js').ChatMessage;
export type ErrorMessage = import('./wire.js').ErrorMessage;
export type Initial<I = any> = import('./wire.js').Initial<I>;
export type OlderMessages = import('./wire.js').OlderMessages;
export type PresenceMember<D = any, U = import('./wire.js').User> = import('./wire.js').PresenceMember<D, U>;
export type PrivateMessage = import('./wire.js').PrivateMessage;
export type PrivateMessageSent = import('./wire.js').PrivateMessageSent;
export type Publication<T = any> = import('./wire.js').Publication<T>;
export type RoomHistory = import('./wire.js').RoomHistory;
export type Typing = import('./wire.js').Typing;
export type Update<T = any> = import('./wire.js').Update<T>;
export type User = import('./wire.js').User;
export type UserId = import('./wire.js').UserId;
export type UserJoined = import('./wire.js').UserJoined;
export type UserLeft = import('./wire.js').UserLeft;
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
