import { ChatClient, Reason, State } from '/client/index.js';
import { Composer } from './composer.js';
import { ConnectionStatus } from './connection-status.js';
import { part, setText } from './dom.js';
import { Drawer } from './drawer.js';
import { MemberList } from './members.js';
import { MessageList } from './messages.js';
import { RoomList } from './rooms.js';
import { Roster } from './roster.js';
import { DEFAULT_ROOM, formatRoute } from './route.js';
import { Timeline } from './timeline.js';
import { displayName, sameUser } from './user.js';

/**
 * @typedef {import('./user.js').User} User
 * @typedef {import('./token.js').Identity} Identity
 *
 * What happens between the page and this view.
 * @typedef {object} ChatEvents
 * @property {() => void} onMessage somebody else said something
 * @property {() => void} onRefused the server does not accept the token any more
 */

/** How many private messages are kept for the rooms that were not open when they came. */
const PRIVATES_KEPT = 200;

/** One room at a time: its log, its members, and the field to write in. */
export class ChatView {
  #root;
  #toasts;
  #events;
  #status;
  #rooms;
  #members;
  #messages;
  #composer;
  #drawers;
  #roomName;
  #memberCount;
  #typing;

  /** @type {Identity | null} */
  #identity = null;
  /** @type {ChatClient | null} */
  #client = null;
  #room = DEFAULT_ROOM;
  #roster = new Roster();
  /** @type {Map<string, Timeline>} */
  #timelines = new Map();
  /** @type {Map<string, string>} */
  #drafts = new Map();
  /**
   * Private messages go to a person and not to a room, so they are shown in whichever room is
   * open; `shownIn` tells in which they are already.
   * @type {{ message: import('./timeline.js').PrivateMessage, shownIn: Set<string> }[]}
   */
  #privates = [];
  /** The private message whose fate the server has not told yet. @type {{ to: User, text: string } | null} */
  #underway = null;

  /**
   * @param {HTMLElement} root
   * @param {{ toasts: import('./toast.js').Toasts, header: HTMLElement } & ChatEvents} context
   */
  constructor(root, { toasts, header, ...events }) {
    this.#root = root;
    this.#toasts = toasts;
    this.#events = events;
    this.#status = new ConnectionStatus(root);
    this.#rooms = new RoomList(root, (room) => {
      location.hash = formatRoute({ view: 'chat', room });
    });
    this.#members = new MemberList(part(root, 'member-list'), (user) => this.#address(user));
    this.#messages = new MessageList(root, (user) => this.#address(user));
    this.#composer = new Composer(root, {
      say: (text) => this.#client?.sendMessage(text) ?? false,
      whisper: (user, text) => this.#whisper(user, text),
      typing: (isTyping) => void this.#client?.sendTyping(isTyping),
    });
    this.#roomName = part(root, 'room-name');
    this.#memberCount = part(root, 'member-count');
    this.#typing = part(root, 'typing');

    const conversation = /** @type {HTMLElement} */ (root.querySelector('.conversation'));
    this.#drawers = ['rooms', 'members'].map(
      (name) =>
        new Drawer({
          panel: part(root, `${name}-drawer`),
          opener: part(root, `open-${name}`),
          closer: part(root, `close-${name}`),
          backdrop: part(root, 'backdrop'),
          outside: [header, conversation],
        }),
    );
  }

  /** @param {Identity} identity */
  signIn(identity) {
    this.#identity = identity;
  }

  signOut() {
    this.#leave();
    this.#identity = null;
    this.#timelines.clear();
    this.#drafts.clear();
    this.#privates = [];
    this.#composer.draft = '';
    this.#messages.showEmpty(false);
    this.hide();
  }

  /** @param {string} room */
  show(room) {
    this.#root.hidden = false;
    if (this.#client && room === this.#room) return;
    this.#leave();
    this.#enter(room);
  }

  /** Out of sight; the room stays open. */
  hide() {
    this.#root.hidden = true;
    for (const drawer of this.#drawers) drawer.close();
  }

  /** The room that is open or was last. */
  get room() {
    return this.#room;
  }

  /** @param {string} room */
  #enter(room) {
    if (!this.#identity) return;
    const { user, token } = this.#identity;
    this.#room = room;
    this.#rooms.show(room);
    setText(this.#roomName, room);
    this.#messages.showEmpty(false);
    this.#messages.show(user, this.#timeline.items);
    this.#composer.room = room;
    this.#composer.draft = this.#drafts.get(room) ?? '';
    this.#roster.reset([]);
    this.#showMembers();
    for (const drawer of this.#drawers) drawer.close();
    // Where there is a keyboard, one wants to write; where there is none, it would pop up.
    if (matchMedia('(hover: hover)').matches) this.#composer.focus();
    this.#connect(room, token);
  }

  #leave() {
    if (!this.#client) return;
    this.#drafts.set(this.#room, this.#composer.draft);
    this.#client.disconnect();
    this.#client = null;
    this.#underway = null;
    this.#status.unfollow();
    this.#showTyping([]);
  }

  /**
   * @param {string} room
   * @param {string} token
   */
  #connect(room, token) {
    // The page's user decides when to give up, not a number of attempts.
    const client = new ChatClient(room, token, { maxReconnectAttempts: Infinity });
    this.#client = client;
    // Everything is shown by the listeners below.
    client.handleMessage = () => {};
    client.on('state', ({ state, reason }) => {
      this.#composer.connected = state === State.Connected;
      this.#underway = null;
      if (state === State.Failed && reason === Reason.Unauthorized) this.#events.onRefused();
    });
    client.on('room-history', ({ messages, users }) => this.#joined(messages, users));
    // What was missed follows as messages.
    client.on('recovered', ({ users }) => this.#joined([], users));
    client.on('user-joined', ({ user }) => {
      if (this.#roster.joined(user)) this.#notice(`${displayName(user)} joined`);
      this.#showMembers();
    });
    client.on('user-left', ({ user }) => {
      if (this.#roster.left(user)) this.#notice(`${displayName(user)} left`);
      this.#showMembers();
    });
    client.on('chat-message', (message) => {
      this.#add(this.#timeline.receive(message), message.user);
    });
    client.on('private-message', ({ from, text, timestamp }) => {
      this.#addPrivate({ kind: 'private', from, to: this.#self, text, at: new Date(timestamp) });
    });
    client.on('private-message-sent', ({ to, text }) => {
      this.#underway = null;
      const user = this.#roster.find(to)?.user ?? this.#correspondent(to);
      this.#addPrivate({ kind: 'private', from: this.#self, to: user, text, at: new Date() });
    });
    client.on('typing-users', (users) => this.#showTyping(users));
    client.on('error', (error) => this.#failed(error));
    this.#composer.connected = false;
    this.#status.follow(client);
    client.connect();
  }

  /**
   * @param {import('./timeline.js').WireMessage[]} messages
   * @param {User[]} users
   */
  #joined(messages, users) {
    this.#roster.reset(users);
    this.#showMembers();
    const privates = this.#privates.filter(({ shownIn }) => !shownIn.has(this.#room));
    for (const { shownIn } of privates) shownIn.add(this.#room);
    this.#messages.add(this.#timeline.merge(messages, privates.map(({ message }) => message)));
    this.#messages.showEmpty(this.#timeline.items.length === 0);
  }

  /**
   * @param {User} user
   * @param {string} text
   */
  #whisper(user, text) {
    const sent = this.#client?.sendPrivate(user.id, text) ?? false;
    if (sent) this.#underway = { to: user, text };
    return sent;
  }

  /** @param {import('./timeline.js').PrivateMessage} message */
  #addPrivate(message) {
    this.#privates.push({ message, shownIn: new Set([this.#room]) });
    if (this.#privates.length > PRIVATES_KEPT) this.#privates.shift();
    this.#add(this.#timeline.append(message), message.from);
  }

  /** @param {string} text */
  #notice(text) {
    this.#add(this.#timeline.append({ kind: 'notice', text, at: new Date() }), null);
  }

  /**
   * @param {import('./timeline.js').Item[]} items
   * @param {User | null} from
   */
  #add(items, from) {
    if (items.length === 0) return;
    this.#messages.showEmpty(false);
    this.#messages.add(items);
    if (from && !sameUser(from.id, this.#self.id)) this.#events.onMessage();
  }

  /** @param {{ message: string, details?: string }} error */
  #failed({ message, details }) {
    // The refusal of the token is followed by a close, and that signs out with a word.
    if (message === 'Authentication required' || message === 'Invalid token') return;
    this.#toasts.error(details ? `${message}: ${details}` : message);
    if (message === 'User not found or offline' && this.#underway) {
      this.#composer.restore(this.#underway.to, this.#underway.text);
      this.#underway = null;
    }
  }

  /** @param {User} user */
  #address(user) {
    for (const drawer of this.#drawers) drawer.close();
    this.#composer.addressPrivately(user);
  }

  #showMembers() {
    const { people, size } = this.#roster;
    this.#members.show(people, this.#self);
    setText(this.#memberCount, size === 0 ? '' : size === 1 ? '1 member' : `${size} members`);
  }

  /** @param {User[]} users */
  #showTyping(users) {
    const others = users.filter((user) => !sameUser(user.id, this.#self.id)).map(displayName);
    setText(this.#typing, typingWords(others));
  }

  /**
   * Somebody who is in another room: known from the private messages, or by the id alone.
   *
   * @param {User['id']} id
   * @returns {User}
   */
  #correspondent(id) {
    const target = this.#composer.target;
    if (target && sameUser(target.id, id)) return target;
    const known = this.#privates.find(({ message }) => sameUser(message.from.id, id));
    return known?.message.from ?? { id, email: String(id) };
  }

  get #timeline() {
    const timeline = this.#timelines.get(this.#room) ?? new Timeline();
    this.#timelines.set(this.#room, timeline);
    return timeline;
  }

  get #self() {
    return this.#identity?.user ?? NOBODY;
  }
}

/** Stands in between sessions, when the view is out of sight. */
const NOBODY = Object.freeze({ id: '', email: '' });

/**
 * @param {string[]} names
 */
function typingWords(names) {
  const [first, second] = names;
  if (first === undefined) return '';
  if (second === undefined) return `${first} is typing…`;
  return names.length === 2 ? `${first} and ${second} are typing…` : 'Several people are typing…';
}
