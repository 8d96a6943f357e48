/**
 * The messages of the server, as types.
 *
 * @module
 */

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
 */

/**
 * The first message after joining.
 *
 * @typedef {object} RoomHistory
 * @property {'room-history'} type
 * @property {ChatMessage[]} messages The last 50, oldest first.
 * @property {User[]} users Every member, this one included; once per connection.
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
 * @property {string} message
 * @property {string} [details]
 */

/**
 * @typedef {object} ChatMessages
 * @property {ChatMessage} chat-message
 * @property {RoomHistory} room-history
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
 * @typedef {object} Update
 * @property {'update'} type
 * @property {string} channel
 * @property {any} data
 * @property {string} timestamp UTC, as `Date.prototype.toISOString` prints it.
 */

/**
 * @typedef {object} Subscribed
 * @property {'subscribed'} type
 * @property {string} channel
 */

/**
 * @typedef {object} Unsubscribed
 * @property {'unsubscribed'} type
 * @property {string} channel
 */

/**
 * @typedef {object} LiveMessages
 * @property {Update} update
 * @property {Subscribed} subscribed
 * @property {Unsubscribed} unsubscribed
 * @property {ErrorMessage} error
 */

export {};
