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
export type TokenSource = import('./address.js').TokenSource;
export type BackoffOptions = import('./backoff.js').BackoffOptions;
export type ChatClientOptions = import('./chat-client.js').ChatClientOptions;
export type Address = import('./client.js').Address;
export type ClientOptions = import('./client.js').ClientOptions;
export type Retry = import('./client.js').Retry;
export type StateChange = import('./client.js').StateChange;
export type WebSocketConstructor = import('./environment.js').WebSocketConstructor;
export type WebSocketLike = import('./environment.js').WebSocketLike;
export type LiveClientOptions = import('./live-client.js').LiveClientOptions;
export type WireMessage = import('./message.js').WireMessage;
export type ChatMessage = import('./wire.js').ChatMessage;
export type ErrorMessage = import('./wire.js').ErrorMessage;
export type PrivateMessage = import('./wire.js').PrivateMessage;
export type PrivateMessageSent = import('./wire.js').PrivateMessageSent;
export type RoomHistory = import('./wire.js').RoomHistory;
export type Typing = import('./wire.js').Typing;
export type Update = import('./wire.js').Update;
export type User = import('./wire.js').User;
export type UserId = import('./wire.js').UserId;
export type UserJoined = import('./wire.js').UserJoined;
export type UserLeft = import('./wire.js').UserLeft;
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
