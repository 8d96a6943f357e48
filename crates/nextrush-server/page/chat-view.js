import { State } from '../client/index.js';
import { Composer } from './composer.js';
import { ConnectionStatus } from './connection-status.js';
import { part, setText } from './dom.js';
import { Drawer } from './drawer.js';
import { MemberList } from './members.js';
import { MessageList } from './messages.js';
import { ReadMarks } from './read-marks.js';
import { Room } from './room.js';
import { RoomList } from './rooms.js';
import { countWords } from './roster.js';
import { DEFAULT_ROOM, formatRoute } from './route.js';
import { displayName, onRename, sameUser, userKey } from './user.js';

/**
 * @typedef {import('./user.js').User} User
 * @typedef {import('./timeline.js').PrivateMessage} PrivateMessage
 *
 * Who is signed in, and what comes with it.
 * @typedef {object} SignedIn
 * @property {User} user
 * @property {() => Promise<string>} token
 * @property {import('../client/index.js').LiveClient} live
 *
 * What happens between the page and this view.
 * @typedef {object} ChatEvents
 * @property {(count: number) => void} onUnread how much of others was not read, in all rooms
 * @property {() => void} onTokenRefused the token that was used is not accepted
 * @property {() => void} onSignedOut there is no token that is accepted
 */

/** The most private messages that are kept for the rooms that are entered later. */
const PRIVATES_KEPT = 200;

/** In how many rooms one is at a time; each is a connection. The others wait to be opened. */
const ROOMS_OPEN = 12;

/** The rooms that one is in, one of them shown: its log, its members, and the field to write in. */
export class ChatView {
  #root;
  #toasts;
  #events;
  #status;
  #roomList;
  #members;
  #messages;
  #composer;
  #drawers;
  #roomName;
  #memberCount;
  #typing;

  /** @type {SignedIn | null} */
  #identity = null;
  #marks = new ReadMarks('');
  /** In the order in which they were last shown. @type {Map<string, Room>} */
  #rooms = new Map();
  /** The one that is shown. @type {Room | null} */
  #room = null;
  /** @type {Map<string, string>} */
  #drafts = new Map();
  /** Private messages go to a person and not to a room: every room shows them. @type {PrivateMessage[]} */
  #privates = [];
  /** The number of private messages that came while nobody was looking. */
  /** True while the log is to be shown anew. */
  #isStale = false;
  #unreadPrivates = 0;
  #isDrawingMembers = false;
  #isRenaming = false;

  /**
   * @param {HTMLElement} root
   * @param {{ toasts: import('./toast.js').Toasts, header: HTMLElement } & ChatEvents} context
   */
  constructor(root, { toasts, header, ...events }) {
    this.#root = root;
    this.#toasts = toasts;
    this.#events = events;
    this.#status = new ConnectionStatus(root);
    this.#roomList = new RoomList(root, {
      join: (room) => {
        location.hash = formatRoute({ view: 'chat', room });
      },
      leave: (room) => this.#leave(room),
    });
    this.#members = new MemberList(part(root, 'member-list'), (user) => this.#address(user));
    this.#messages = new MessageList(root, {
      answer: (user) => this.#address(user),
      retry: (draft) => this.#room?.retry(draft),
      discard: (draft) => this.#room?.discard(draft),
      lookBack: () => void this.#lookBack(),
      seen: () => this.look(),
    });
    this.#composer = new Composer(root, {
      say: (text) => this.#room?.say(text),
      whisper: (user, text) => this.#room?.say(text, user),
      typing: (isTyping) => void this.#room?.client.sendTyping(isTyping),
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
    document.addEventListener('visibilitychange', () => this.look());
    onRename(() => this.#renamed());
    // Another tab has read something.
    addEventListener('storage', () => this.#showUnread());
  }

  /** @param {SignedIn} identity */
  signIn(identity) {
    this.#identity = identity;
    this.#marks = new ReadMarks(userKey(identity.user.id));
    const known = new Set(this.#marks.rooms);
    const rooms = this.#roomList.names.filter((name) => known.has(name));
    for (const name of rooms.slice(-ROOMS_OPEN)) this.#enter(name);
  }

  signOut() {
    for (const room of this.#rooms.values()) room.leave();
    this.#rooms.clear();
    this.#room = null;
    this.#status.unfollow();
    this.#identity = null;
    this.#drafts.clear();
    this.#privates = [];
    this.#unreadPrivates = 0;
    this.#roomList.forgetUnread();
    this.#composer.draft = '';
    this.#messages.showEmpty(false);
    this.#showTyping([]);
    this.hide();
  }

  /** @param {string} name */
  show(name) {
    this.#root.hidden = false;
    if (!this.#identity) return;
    if (this.#room?.name !== name) this.#open(name);
    this.look();
  }

  /** Out of sight; the rooms stay open. */
  hide() {
    this.#root.hidden = true;
    for (const drawer of this.#drawers) drawer.close();
  }

  /** The room that is shown or was last. */
  get room() {
    return this.#room?.name ?? DEFAULT_ROOM;
  }

  /** Marks what is shown as read if it has come into sight. */
  look() {
    if (this.#isSeen()) {
      this.#room?.markRead();
      this.#unreadPrivates = 0;
    }
    this.#showUnread();
  }

  /** @param {string} name */
  #open(name) {
    const { user } = /** @type {SignedIn} */ (this.#identity);
    if (this.#room) this.#drafts.set(this.#room.name, this.#composer.draft);
    const known = this.#rooms.get(name);
    const room = known ?? this.#enter(name);
    this.#room = room;
    // The last of the list is the one that was shown last.
    this.#rooms.delete(name);
    this.#rooms.set(name, room);
    this.#closeOldest();

    this.#roomList.show(name);
    setText(this.#roomName, name);
    this.#messages.show(user, room.timeline.items, room.firstUnread);
    this.#messages.showEmpty(false);
    this.#composer.room = name;
    this.#composer.draft = this.#drafts.get(name) ?? '';
    this.#showState(room);
    this.#showOlder(room);
    this.#showDrafts(room);
    this.#showMembers(room);
    this.#showTyping(room.client.typingUsers);
    if (known) this.#showEmpty(room);
    for (const drawer of this.#drawers) drawer.close();
    // Where there is a keyboard, one wants to write; where there is none, it would pop up.
    if (matchMedia('(hover: hover)').matches) this.#composer.focus();
    this.#status.follow(room.client);
  }

  /** @param {string} name */
  #enter(name) {
    const { user, token, live } = /** @type {SignedIn} */ (this.#identity);
    const shown = (/** @type {(room: Room, ...rest: any[]) => void} */ show) =>
      (/** @type {Room} */ room, /** @type {any[]} */ ...rest) => {
        if (room === this.#room) show(room, ...rest);
      };
    const surroundings = { self: user, token, live, marks: this.#marks, privates: this.#privates };
    const room = new Room(name, surroundings, {
      added: (room, items) => this.#added(room, items),
      removed: shown(() => this.#removed()),
      drafts: shown((room) => this.#showDrafts(room)),
      members: shown(() => this.#membersChanged()),
      typing: shown((_, users) => this.#showTyping(users)),
      state: shown((room) => {
        this.#showState(room);
        this.#showDrafts(room);
      }),
      joined: (room) => {
        if (room === this.#room) {
          this.#showEmpty(room);
          this.#showOlder(room);
        }
        this.look();
      },
      whispered: (_, message) => this.#whispered(message),
      failed: (room, words) => this.#toasts.error(room === this.#room ? words : `#${room.name}: ${words}`),
      tokenRefused: () => this.#events.onTokenRefused(),
      signedOut: () => this.#events.onSignedOut(),
    });
    this.#rooms.set(name, room);
    room.connect();
    return room;
  }

  /** @param {string} name */
  #leave(name) {
    this.#rooms.get(name)?.leave();
    this.#rooms.delete(name);
    this.#marks.forget(name);
    this.#drafts.delete(name);
    this.#showUnread();
  }

  #closeOldest() {
    for (const [name, room] of this.#rooms) {
      if (this.#rooms.size <= ROOMS_OPEN) return;
      room.leave();
      this.#rooms.delete(name);
    }
  }

  /**
   * @param {Room} room
   * @param {import('./timeline.js').Item[]} items
   */
  #added(room, items) {
    if (room === this.#room) {
      this.#messages.showEmpty(false);
      this.#messages.add(items, this.#isSeen() ? null : room.firstUnread);
    }
    this.look();
  }

  /** Shows the log without what was removed, once for all that is removed together. */
  #removed() {
    if (this.#isStale) return;
    this.#isStale = true;
    requestAnimationFrame(() => {
      this.#isStale = false;
      if (this.#room) this.#messages.grow(this.#room.timeline.items);
    });
    this.look();
  }

  /**
   * The server sends a private message to each connection of its receiver.
   *
   * @param {PrivateMessage} message
   */
  #whispered(message) {
    const isSame = (/** @type {PrivateMessage} */ other) =>
      other.at.getTime() === message.at.getTime() && other.text === message.text && sameUser(other.from.id, message.from.id);
    if (this.#privates.some(isSame)) return;
    this.#privates.push(message);
    if (this.#privates.length > PRIVATES_KEPT) this.#privates.shift();
    const own = sameUser(message.from.id, this.#self.id);
    if (!own && !this.#isSeen()) this.#unreadPrivates += 1;
    for (const room of this.#rooms.values()) room.whispered(message);
    this.look();
  }

  async #lookBack() {
    const room = this.#room;
    if (!room?.hasOlder || room.client.state !== State.Connected) return;
    this.#messages.showOlder('loading');
    try {
      const found = await room.lookBack();
      if (found && room === this.#room) this.#messages.grow(room.timeline.items);
    } catch (error) {
      const { code, message } = /** @type {import('../client/index.js').ClientError} */ (error);
      // With the connection gone the question is asked again when somebody scrolls again.
      if (code === 'refused' && room === this.#room) this.#toasts.error(`Older messages could not be loaded. ${message}`);
    }
    if (room === this.#room) this.#showOlder(room);
  }

  /** @param {User} user */
  #address(user) {
    for (const drawer of this.#drawers) drawer.close();
    this.#composer.addressPrivately(user);
  }

  /** @param {Room} room */
  #showState(room) {
    this.#composer.connected = room.client.state === State.Connected;
  }

  /** @param {Room} room */
  #showOlder(room) {
    if (room.hasOlder) this.#messages.showOlder('more');
    else this.#messages.showOlder(room.timeline.oldest ? 'begin' : 'none');
  }

  /** @param {Room} room */
  #showDrafts(room) {
    const { drafts } = room.unsent;
    this.#messages.showDrafts(drafts, room.client.state === State.Connected);
    if (drafts.length > 0) this.#messages.showEmpty(false);
  }

  /** @param {Room} room */
  #showEmpty(room) {
    this.#messages.showEmpty(room.timeline.items.length === 0 && room.unsent.drafts.length === 0);
  }

  /** Somebody who is shown has another name from now on. */
  #renamed() {
    if (this.#isRenaming) return;
    this.#isRenaming = true;
    // What is being drawn just now is finished first.
    requestAnimationFrame(() => {
      this.#isRenaming = false;
      if (!this.#room) return;
      this.#messages.grow(this.#room.timeline.items);
      this.#showMembers(this.#room);
      this.#showTyping(this.#room.client.typingUsers);
    });
  }

  /** Many may come at once, as after a restart: the list is drawn once for all of them. */
  #membersChanged() {
    if (this.#isDrawingMembers) return;
    this.#isDrawingMembers = true;
    requestAnimationFrame(() => {
      this.#isDrawingMembers = false;
      if (this.#room) this.#showMembers(this.#room);
    });
  }

  /** @param {Room} room */
  #showMembers(room) {
    this.#members.show(room.people, this.#self, room.isJoined);
    setText(this.#memberCount, countWords(room.roster.size, room.isJoined));
  }

  /** @param {User[]} users */
  #showTyping(users) {
    setText(this.#typing, typingWords(users.map(displayName)));
  }

  #showUnread() {
    let total = this.#unreadPrivates;
    for (const [name, room] of this.#rooms) {
      const { unread } = room;
      total += unread;
      this.#roomList.setUnread(name, unread);
    }
    this.#events.onUnread(total);
  }

  #isSeen() {
    return !this.#root.hidden && document.visibilityState === 'visible' && this.#messages.isAtEnd;
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
