/**
 * The messages of the server, as types.
 *
 * @module
 */
import type { WireCode } from './errors.js';
export type UserId = string | number;
export type User = {
    id: UserId;
    email: string;
};
export type ChatMessage = {
    type: 'chat-message';
    /**
     * Unique and rising in the room.
     */
    id: number;
    text: string;
    user: User;
    /**
     * UTC, as `Date.prototype.toISOString` prints it.
     */
    timestamp: string;
    /**
     * Its place in the room, +1 with each message.
     */
    offset?: number;
};
export type MessageDeleted = {
    type: 'deleted';
    /**
     * That of the message.
     */
    offset: number;
};
export type RoomHistory = {
    type: 'room-history';
    /**
     * The last 50, oldest first; after a reconnect with a position
     * that could be recovered, exactly those that were missed.
     */
    messages: ChatMessage[];
    /**
     * The members, this one included; once per connection, the first 1,000.
     */
    users: User[];
    /**
     * The connections in the room. Older servers tell none.
     */
    userCount?: number;
    /**
     * The joins and leaves in the room so far.
     */
    usersVersion?: number;
    /**
     * The stream that offsets belong to.
     */
    epoch?: string;
    /**
     * That of the newest message.
     */
    offset?: number;
    /**
     * Whether nothing is missing, if a position was asked for.
     */
    recovered?: boolean;
    /**
     * Why it was not recovered.
     */
    reason?: string;
};
export type OlderMessages = {
    type: 'history';
    /**
     * Oldest first.
     */
    messages: ChatMessage[];
    /**
     * The stream that offsets belong to.
     */
    epoch: string;
    /**
     * Whether older ones are kept.
     */
    more: boolean;
};
export type MembersPage = {
    type: 'members';
    /**
     * Each user once, with the number of their connections.
     */
    members: {
        user: User;
        sockets: number;
    }[];
    /**
     * The connections in the room.
     */
    userCount: number;
    /**
     * The joins and leaves in the room so far.
     */
    usersVersion: number;
    /**
     * What the next page is asked for with, as `after`; absent from the last one.
     */
    next?: number;
};
export type UserJoined = {
    type: 'user-joined';
    user: User;
    /**
     * Members after the change.
     */
    userCount: number;
};
export type UserLeft = {
    type: 'user-left';
    user: User;
    /**
     * Members after the change.
     */
    userCount: number;
};
export type Typing = {
    type: 'typing';
    user: User;
    isTyping: boolean;
};
export type PrivateMessage = {
    type: 'private-message';
    text: string;
    from: User;
    /**
     * UTC, as `Date.prototype.toISOString` prints it.
     */
    timestamp: string;
};
export type PrivateMessageSent = {
    type: 'private-message-sent';
    to: UserId;
    text: string;
};
export type ErrorMessage = {
    type: 'error';
    /**
     * In English, for people.
     */
    message: string;
    /**
     * For programs. Older servers tell none.
     */
    code?: WireCode;
    details?: string;
    /**
     * The time after which it may be tried again.
     */
    retryAfterMs?: number;
    /**
     * That of the refused message.
     */
    id?: string;
};
export type ChatMessages = {
    "chat-message": ChatMessage;
    deleted: MessageDeleted;
    "room-history": RoomHistory;
    renewed: Renewed;
    history: OlderMessages;
    members: MembersPage;
    "user-joined": UserJoined;
    "user-left": UserLeft;
    typing: Typing;
    "private-message": PrivateMessage;
    "private-message-sent": PrivateMessageSent;
    error: ErrorMessage;
};
export type Update<T = any> = {
    type: 'update';
    channel: string;
    /**
     * A `Uint8Array` where bytes were published.
     */
    data: T;
    /**
     * UTC, as `Date.prototype.toISOString` prints it.
     */
    timestamp: string;
    /**
     * Its place in the channel, +1 with each publication.
     */
    offset?: number;
};
export type Publication<T = any> = {
    data: T;
    /**
     * UTC, as `Date.prototype.toISOString` prints it.
     */
    timestamp: string;
    /**
     * Its place in the channel, +1 with each publication.
     */
    offset: number;
};
export type ChannelHistory<T = any> = {
    type: 'channel-history';
    channel: string;
    /**
     * Oldest first.
     */
    publications: Publication<T>[];
    /**
     * The stream that offsets belong to.
     */
    epoch: string;
    /**
     * Whether older ones are kept.
     */
    more: boolean;
    /**
     * The `before` of the next page, if there are more.
     */
    next?: number;
};
export type UpdateDeleted = {
    type: 'deleted';
    channel: string;
    /**
     * That of the update.
     */
    offset: number;
};
export type Subscribed = {
    type: 'subscribed';
    channel: string;
    /**
     * The stream that offsets belong to.
     */
    epoch?: string;
    /**
     * That of the newest publication.
     */
    offset?: number;
    /**
     * Whether what was missed follows, if a position was asked for.
     */
    recovered?: boolean;
    /**
     * Why it does not.
     */
    reason?: string;
    /**
     * Whether offsets may be left out, as only the newest update matters.
     */
    latest?: boolean;
    /**
     * Whether the server has subscribed this client of its own accord.
     */
    joined?: boolean;
    /**
     * The initial state of the channel, where the server tells one.
     */
    data?: any;
};
export type Initial<I = any> = {
    type: 'initial';
    channel: string;
    data: I;
};
export type Renewed = {
    type: 'renewed';
    /**
     * Absent in a chat room.
     */
    channel?: string;
    epoch: string;
    offset: number;
};
export type GapMessage = {
    type: 'gap';
    channel: string;
    from: number;
    to: number;
    epoch: string;
};
export type PresenceMember<D = any, U = User> = {
    user: U;
    devices: PresenceDevice<D>[];
};
export type PresenceDevice<D = any> = {
    id: string;
    /**
     * UTC, as `Date.prototype.toISOString` prints it.
     */
    since: string;
    data?: D;
};
export type PresenceSnapshot = {
    type: 'presence';
    channel: string;
    members: PresenceMember[];
    version: number;
    /**
     * The place at which the page begins, if it is one; 0 is the first.
     */
    after?: number;
    /**
     * The `after` of the next page, if there are more members.
     */
    next?: number;
};
export type PresenceDiff = {
    type: 'presence-diff';
    channel: string;
    /**
     * That of the list after the change.
     */
    version: number;
    /**
     * With the devices that are new.
     */
    joined?: PresenceMember[];
    left?: {
        user: User;
        device: string;
    }[];
    /**
     * With the devices that changed.
     */
    updated?: PresenceMember[];
};
export type Unsubscribed = {
    type: 'unsubscribed';
    channel: string;
    /**
     * The reason, where the server has ended the subscription.
     */
    code?: WireCode;
    /**
     * The same in English, for people.
     */
    message?: string;
};
export type LiveMessages = {
    update: Update;
    "channel-history": ChannelHistory;
    deleted: UpdateDeleted;
    subscribed: Subscribed;
    unsubscribed: Unsubscribed;
    gap: GapMessage;
    renewed: Renewed;
    presence: PresenceSnapshot;
    "presence-diff": PresenceDiff;
    error: ErrorMessage;
};
/** @import { WireCode } from './errors.js' */
/**
 * @typedef {string | number} UserId As in the user's token.
 */
/**
 * @typedef {object} User
 * @property {UserId} id
 * @property {string} email
 */
/**
 * A message to the room.
 *
 * @typedef {object} ChatMessage
 * @property {'chat-message'} type
 * @property {number} id Unique and rising in the room.
 * @property {string} text
 * @property {User} user
 * @property {string} timestamp UTC, as `Date.prototype.toISOString` prints it.
 * @property {number} [offset] Its place in the room, +1 with each message.
 */
/**
 * A message of the room was deleted: one that came earlier, or the one in whose place this comes.
 *
 * @typedef {object} MessageDeleted
 * @property {'deleted'} type
 * @property {number} offset That of the message.
 */
/**
 * The first message after joining.
 *
 * @typedef {object} RoomHistory
 * @property {'room-history'} type
 * @property {ChatMessage[]} messages The last 50, oldest first; after a reconnect with a position
 *   that could be recovered, exactly those that were missed.
 * @property {User[]} users The members, this one included; once per connection, the first 1,000.
 * @property {number} [userCount] The connections in the room. Older servers tell none.
 * @property {number} [usersVersion] The joins and leaves in the room so far.
 * @property {string} [epoch] The stream that offsets belong to.
 * @property {number} [offset] That of the newest message.
 * @property {boolean} [recovered] Whether nothing is missing, if a position was asked for.
 * @property {string} [reason] Why it was not recovered.
 */
/**
 * The answer to a question for older messages.
 *
 * @typedef {object} OlderMessages
 * @property {'history'} type
 * @property {ChatMessage[]} messages Oldest first.
 * @property {string} epoch The stream that offsets belong to.
 * @property {boolean} more Whether older ones are kept.
 */
/**
 * A page of the members of a room.
 *
 * @typedef {object} MembersPage
 * @property {'members'} type
 * @property {{ user: User, sockets: number }[]} members Each user once, with the number of their connections.
 * @property {number} userCount The connections in the room.
 * @property {number} usersVersion The joins and leaves in the room so far.
 * @property {number} [next] What the next page is asked for with, as `after`; absent from the last one.
 */
/**
 * @typedef {object} UserJoined
 * @property {'user-joined'} type
 * @property {User} user
 * @property {number} userCount Members after the change.
 */
/**
 * @typedef {object} UserLeft
 * @property {'user-left'} type
 * @property {User} user
 * @property {number} userCount Members after the change.
 */
/**
 * @typedef {object} Typing
 * @property {'typing'} type
 * @property {User} user
 * @property {boolean} isTyping
 */
/**
 * @typedef {object} PrivateMessage
 * @property {'private-message'} type
 * @property {string} text
 * @property {User} from
 * @property {string} timestamp UTC, as `Date.prototype.toISOString` prints it.
 */
/**
 * A private message of this user has been delivered.
 *
 * @typedef {object} PrivateMessageSent
 * @property {'private-message-sent'} type
 * @property {UserId} to
 * @property {string} text
 */
/**
 * The server refuses a message, or the connection.
 *
 * @typedef {object} ErrorMessage
 * @property {'error'} type
 * @property {string} message In English, for people.
 * @property {WireCode} [code] For programs. Older servers tell none.
 * @property {string} [details]
 * @property {number} [retryAfterMs] The time after which it may be tried again.
 * @property {string} [id] That of the refused message.
 */
/**
 * @typedef {object} ChatMessages
 * @property {ChatMessage} chat-message
 * @property {MessageDeleted} deleted
 * @property {RoomHistory} room-history
 * @property {Renewed} renewed
 * @property {OlderMessages} history
 * @property {MembersPage} members
 * @property {UserJoined} user-joined
 * @property {UserLeft} user-left
 * @property {Typing} typing
 * @property {PrivateMessage} private-message
 * @property {PrivateMessageSent} private-message-sent
 * @property {ErrorMessage} error
 */
/**
 * A publication to a channel.
 *
 * @template [T=any] What is published there.
 * @typedef {object} Update
 * @property {'update'} type
 * @property {string} channel
 * @property {T} data A `Uint8Array` where bytes were published.
 * @property {string} timestamp UTC, as `Date.prototype.toISOString` prints it.
 * @property {number} [offset] Its place in the channel, +1 with each publication.
 */
/**
 * A publication of a channel's history.
 *
 * @template [T=any] What is published there.
 * @typedef {object} Publication
 * @property {T} data
 * @property {string} timestamp UTC, as `Date.prototype.toISOString` prints it.
 * @property {number} offset Its place in the channel, +1 with each publication.
 */
/**
 * The answer to a question for older publications. Deleted ones are left out.
 *
 * @template [T=any] What is published there.
 * @typedef {object} ChannelHistory
 * @property {'channel-history'} type
 * @property {string} channel
 * @property {Publication<T>[]} publications Oldest first.
 * @property {string} epoch The stream that offsets belong to.
 * @property {boolean} more Whether older ones are kept.
 * @property {number} [next] The `before` of the next page, if there are more.
 */
/**
 * An update was deleted: one that came earlier, or the one in whose place this comes.
 *
 * @typedef {object} UpdateDeleted
 * @property {'deleted'} type
 * @property {string} channel
 * @property {number} offset That of the update.
 */
/**
 * @typedef {object} Subscribed
 * @property {'subscribed'} type
 * @property {string} channel
 * @property {string} [epoch] The stream that offsets belong to.
 * @property {number} [offset] That of the newest publication.
 * @property {boolean} [recovered] Whether what was missed follows, if a position was asked for.
 * @property {string} [reason] Why it does not.
 * @property {boolean} [latest] Whether offsets may be left out, as only the newest update matters.
 * @property {boolean} [joined] Whether the server has subscribed this client of its own accord.
 * @property {any} [data] The initial state of the channel, where the server tells one.
 */
/**
 * The state of a channel at the position where its updates begin.
 *
 * @template [I=any]
 * @typedef {object} Initial
 * @property {'initial'} type
 * @property {string} channel
 * @property {I} data
 */
/**
 * A stream goes on under another epoch: a position of the one before counts in it, with the same
 * offset, up to this one.
 *
 * @typedef {object} Renewed
 * @property {'renewed'} type
 * @property {string} [channel] Absent in a chat room.
 * @property {string} epoch
 * @property {number} offset
 */
/**
 * Publications that this subscriber will not get. What follows has the offset after `to`.
 *
 * @typedef {object} GapMessage
 * @property {'gap'} type
 * @property {string} channel
 * @property {number} from
 * @property {number} to
 * @property {string} epoch
 */
/**
 * A user in a channel, with each of their connections.
 *
 * @template [D=any] What a device tells about itself.
 * @template [U=User] What the application shows of a user, where that is not the usual.
 * @typedef {object} PresenceMember
 * @property {U} user
 * @property {PresenceDevice<D>[]} devices
 */
/**
 * @template [D=any] What the device tells about itself.
 * @typedef {object} PresenceDevice
 * @property {string} id
 * @property {string} since UTC, as `Date.prototype.toISOString` prints it.
 * @property {D} [data]
 */
/**
 * @typedef {object} PresenceSnapshot
 * @property {'presence'} type
 * @property {string} channel
 * @property {PresenceMember[]} members
 * @property {number} version
 * @property {number} [after] The place at which the page begins, if it is one; 0 is the first.
 * @property {number} [next] The `after` of the next page, if there are more members.
 */
/**
 * @typedef {object} PresenceDiff
 * @property {'presence-diff'} type
 * @property {string} channel
 * @property {number} version That of the list after the change.
 * @property {PresenceMember[]} [joined] With the devices that are new.
 * @property {{ user: User, device: string }[]} [left]
 * @property {PresenceMember[]} [updated] With the devices that changed.
 */
/**
 * @typedef {object} Unsubscribed
 * @property {'unsubscribed'} type
 * @property {string} channel
 * @property {WireCode} [code] The reason, where the server has ended the subscription.
 * @property {string} [message] The same in English, for people.
 */
/**
 * @typedef {object} LiveMessages
 * @property {Update} update
 * @property {ChannelHistory} channel-history
 * @property {UpdateDeleted} deleted
 * @property {Subscribed} subscribed
 * @property {Unsubscribed} unsubscribed
 * @property {GapMessage} gap
 * @property {Renewed} renewed
 * @property {PresenceSnapshot} presence
 * @property {PresenceDiff} presence-diff
 * @property {ErrorMessage} error
 */
export {};
