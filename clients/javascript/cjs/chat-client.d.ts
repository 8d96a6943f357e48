/**
 * A member of one chat room.
 *
 * @module
 */
import { Client } from './client.js';
import type { WireMessage } from './message.js';
import type { Gap } from './position.js';
import type { RequestOptions } from './questions.js';
import type { ClientOptions } from './session.js';
import type { TokenSource } from './token.js';
import type { ChatMessage, ChatMessages, OlderMessages, User, UserId } from './wire.js';
export type OwnChatOptions = {
    /**
     * Address of the server. Default: where the page came from;
     * without a page, `ws://localhost:3000`.
     */
    server?: string;
    /**
     * Default 5.
     */
    maxReconnectAttempts?: number;
    /**
     * How long attempts go on at least, in milliseconds: the five are spread
     * over this time. Default 22,000.
     */
    patienceMs?: number;
    /**
     * How long a user counts as typing after last saying so,
     * in milliseconds. Default 6,000.
     */
    typingExpiryMs?: number;
    /**
     * How often, in milliseconds, `sendTyping(true)` repeats
     * itself to the room while it is called all the time. Default 3,000.
     */
    typingRepeatMs?: number;
};
export type ChatClientOptions = Omit<ClientOptions, 'token'> & OwnChatOptions;
export type ChatLocalEvents = {
    /**
     * The members of the room, after each change; each user once.
     */
    users: User[];
    /**
     * The others who are typing, after each change.
     */
    "typing-users": User[];
    /**
     * After a reconnect nothing is missing. The messages that were
     * missed follow, each as a `chat-message`; there is no `room-history`.
     */
    recovered: Recovered;
    /**
     * Messages were missed and will not come. After a reconnect, the
     * `room-history` that follows replaces what is shown.
     */
    gap: Gap;
};
export type Recovered = {
    /**
     * How many messages follow.
     */
    missed: number;
    /**
     * The members of the room, once for each of their connections, as in
     * `room-history`.
     */
    users: User[];
};
/** @import { WireMessage } from './message.js' */
/** @import { Gap } from './position.js' */
/** @import { RequestOptions } from './questions.js' */
/** @import { ClientOptions } from './session.js' */
/** @import { TokenSource } from './token.js' */
/** @import { ChatMessage, ChatMessages, OlderMessages, User, UserId } from './wire.js' */
/**
 * @typedef {object} OwnChatOptions
 * @property {string} [server] Address of the server. Default: where the page came from;
 *   without a page, `ws://localhost:3000`.
 * @property {number} [maxReconnectAttempts] Default 5.
 * @property {number} [patienceMs] How long attempts go on at least, in milliseconds: the five are spread
 *   over this time. Default 22,000.
 * @property {number} [typingExpiryMs] How long a user counts as typing after last saying so,
 *   in milliseconds. Default 6,000.
 * @property {number} [typingRepeatMs] How often, in milliseconds, `sendTyping(true)` repeats
 *   itself to the room while it is called all the time. Default 3,000.
 */
/** @typedef {Omit<ClientOptions, 'token'> & OwnChatOptions} ChatClientOptions */
/**
 * @typedef {object} ChatLocalEvents
 * @property {User[]} users The members of the room, after each change; each user once.
 * @property {User[]} typing-users The others who are typing, after each change.
 * @property {Recovered} recovered After a reconnect nothing is missing. The messages that were
 *   missed follow, each as a `chat-message`; there is no `room-history`.
 * @property {Gap} gap Messages were missed and will not come. After a reconnect, the
 *   `room-history` that follows replaces what is shown.
 */
/**
 * @typedef {object} Recovered
 * @property {number} missed How many messages follow.
 * @property {User[]} users The members of the room, once for each of their connections, as in
 *   `room-history`.
 */
/**
 * A member of one chat room, at `/chat/:roomId` of the server.
 *
 * What is shown, and how, is in `handleMessage`, `displayMessage`, `displayNotification` and
 * `displayError`: replace them in a subclass or on the object. Everything else comes as
 * events: the server's messages by their type, and `users` and `typing-users`. A message that was
 * shown may be `deleted` later: take the one with its `offset` away.
 *
 * @example
 * const chat = new ChatClient('room123', token);
 * chat.displayMessage = ({ user, text }) => list.append(`${user.email}: ${text}`);
 * chat.on('state', ({ state }) => (banner.hidden = state === 'connected'));
 * chat.connect();
 * form.onsubmit = () => chat.sendMessage(input.value);
 *
 * @template {object} [Messages={}] Further messages of the server, by their `type`.
 * @extends {Client<ChatMessages & ChatLocalEvents & Messages>}
 */
export declare class ChatClient<Messages extends object = {}> extends Client<ChatMessages & ChatLocalEvents & Messages> {
    #private;
    introduction: {
        keepsUsers: boolean;
    };
    /**
     * @override
     * @protected
     * @type {ReadonlySet<unknown>}
     */
    protected static localEvents: ReadonlySet<unknown>;
    /** @type {string} */
    roomId: string;
    /**
     * @param {string | number} roomId
     * @param {TokenSource} [token] A JWT, or a function that gets one before each attempt.
     * @param {ChatClientOptions} [options]
     * @throws {ClientError} `invalid-address`, `invalid-option`
     */
    constructor(roomId: string | number, token?: TokenSource, options?: ChatClientOptions);
    /**
     * The members of the room, this user included, each once. While disconnected: those of the
     * lost connection. In a room of more than 1,000 they come page by page, with an event `users` for each.
     *
     * @returns {User[]}
     */
    get users(): User[];
    /**
     * The newest messages that came, oldest first: those of the last `room-history` and what was said
     * since, 500 at most.
     *
     * @returns {ChatMessage[]}
     */
    get recentMessages(): ChatMessage[];
    /**
     * The others who are typing.
     *
     * @returns {User[]}
     */
    get typingUsers(): User[];
    /**
     * Says something to the room. The room's answer to everybody, this client included, is the
     * message itself.
     *
     * @param {string} text
     * @returns {boolean} Whether it went out; see `send`.
     */
    sendMessage(text: string): boolean;
    /**
     * Says something to the room that the server confirms and takes once, however often the
     * connection is lost: now or as soon as there is a connection.
     *
     * @param {string} text
     * @param {RequestOptions} [options]
     * @returns {Promise<WireMessage>} The confirmation, with the `messageId`; see `request`.
     */
    say(text: string, options?: RequestOptions): Promise<WireMessage>;
    /**
     * Tells the others that this user types, or has stopped. May be called at each key press:
     * the room hears of it every three seconds at most.
     *
     * @param {boolean} isTyping
     * @returns {boolean} Whether the others know: false when not connected.
     */
    sendTyping(isTyping: boolean): boolean;
    /**
     * Sends a message to one user, on all their connections. The server answers with
     * `private-message-sent`, or with `error` if the user is not connected.
     *
     * @param {UserId} userId
     * @param {string} text
     * @returns {boolean} Whether it went out; see `send`.
     */
    sendPrivate(userId: UserId, text: string): boolean;
    /**
     * Asks for messages of the room that are older than one that is here.
     *
     * @param {number} before The `offset` of that one.
     * @param {number} [limit] How many, at most. Default 50.
     * @returns {Promise<OlderMessages>} The newest of those before it, oldest first; rejects as
     *   `request` does, with the connection if that is lost, and after 15 seconds.
     */
    history(before: number, limit?: number): Promise<OlderMessages>;
    /**
     * Leaves the room.
     */
    disconnect(): void;
    /**
     * Shows a message of the server. Called for each one, before the listeners of its type.
     *
     * @param {WireMessage} message
     */
    handleMessage(message: WireMessage): void;
    /**
     * @param {ChatMessage} message
     */
    displayMessage(message: ChatMessage): void;
    /**
     * @param {string} text
     */
    displayNotification(text: string): void;
    /**
     * @param {string} error
     */
    displayError(error: string): void;
    /**
     * @override
     * @protected
     */
    protected place(): string;
    /**
     * @override
     * @protected
     * @param {WireMessage} message
     */
    protected accept(message: WireMessage): boolean;
}
