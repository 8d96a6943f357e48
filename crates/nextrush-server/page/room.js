import { ChatClient, Outbox, Presence, Reason, State } from '../client/index.js';
import { SERVER } from './place.js';
import { presenceChannel } from './presence-channel.js';
import { failureWords, isOfToken, refusalWords } from './refusal.js';
import { Roster } from './roster.js';
import { Timeline } from './timeline.js';
import { Unsent } from './unsent.js';
import { displayName, sameUser, userKey } from './user.js';

/**
 * @typedef {import('./user.js').User} User
 * @typedef {import('./unsent.js').Draft} Draft
 * @typedef {import('./timeline.js').Item} Item
 * @typedef {import('./timeline.js').PrivateMessage} PrivateMessage
 *
 * What the rooms of somebody have in common.
 * @typedef {object} Surroundings
 * @property {User} self
 * @property {() => Promise<string>} token
 * @property {import('../client/index.js').LiveClient} live for presence
 * @property {import('./read-marks.js').ReadMarks} marks
 * @property {PrivateMessage[]} privates those that came before
 *
 * What happens in a room.
 * @typedef {object} RoomEvents
 * @property {(room: Room, items: Item[]) => void} added to the end of the log
 * @property {(room: Room) => void} removed something of the log
 * @property {(room: Room) => void} drafts the messages that were not sent yet have changed
 * @property {(room: Room) => void} members
 * @property {(room: Room, users: User[]) => void} typing
 * @property {(room: Room) => void} joined the connection stands, and what was missed is in the log
 * @property {(room: Room, state: string) => void} state of the connection
 * @property {(room: Room, message: PrivateMessage) => void} whispered
 * @property {(room: Room, words: string) => void} failed
 * @property {() => void} tokenRefused the token that was used is not accepted
 * @property {() => void} signedOut there is no token that is
 */

/** The number of messages that are asked for at a time. */
const PAGE = 50;

/** In a larger crowd nobody wants to read who comes and goes. */
const COMPANY = 50;

/** A room that one is in, shown or not: its connection, its log, its members, what is unread. */
export class Room {
  name;
  client;
  timeline = new Timeline();
  roster = new Roster();
  unsent = new Unsent();
  /** True if the server keeps older messages than those that are here. */
  hasOlder = false;
  #self;
  #marks;
  #events;
  #presence;
  /** The words for what was missed, until the history comes. @type {string | null} */
  #gap = null;
  #wasJoined = false;
  #isLooking = false;
  /** Private messages that wait for the history, to stand among its messages. @type {PrivateMessage[] | null} */
  #privates;

  /**
   * @param {string} name
   * @param {Surroundings} surroundings
   * @param {RoomEvents} events
   */
  constructor(name, { self, token, live, marks, privates }, events) {
    this.name = name;
    this.#self = self;
    this.#marks = marks;
    this.#privates = [...privates];
    this.#events = events;
    this.client = new ChatClient(name, token, {
      server: SERVER,
      tokenIn: 'subprotocol',
      // The page's user decides when to give up, not a number of attempts.
      maxReconnectAttempts: Infinity,
      outbox: new Outbox(`${userKey(self.id)} in ${name}`),
    });
    this.#presence = new Presence(live, presenceChannel(name));
    this.#listen();
  }

  connect() {
    this.#presence.update(thisDevice());
    this.client.connect();
  }

  /** Leaves the room. What was not sent goes out when somebody comes back to it. */
  leave() {
    this.#presence.close();
    this.client.disconnect();
  }

  /** The people in the room, with the devices that are known. */
  get people() {
    return this.roster.withDevices(this.#presence.members);
  }

  /** True while the room is connected and its list of members is current. */
  get isJoined() {
    return this.#wasJoined;
  }

  /** The number of messages of others since the room was last read. */
  get unread() {
    const mark = this.#marks.get(this.name);
    return mark === null ? 0 : this.timeline.since(mark, this.#self).length;
  }

  /** The id of the first of them. */
  get firstUnread() {
    const mark = this.#marks.get(this.name);
    return mark === null ? null : (this.timeline.since(mark, this.#self)[0]?.id ?? null);
  }

  /** Everything that is here was seen. */
  markRead() {
    const newest = this.timeline.newest;
    if (newest > (this.#marks.get(this.name) ?? -1)) this.#marks.set(this.name, Math.max(newest, 0));
    else if (this.#wasJoined && this.#marks.get(this.name) === null) this.#marks.set(this.name, 0);
  }

  /**
   * Says something, now or as soon as there is a connection.
   *
   * @param {string} text
   * @param {User | null} [to] `null`: everybody
   */
  say(text, to = null) {
    const reply = to
      ? this.client.request({ type: 'private', targetUserId: to.id, text })
      : this.client.say(text);
    void this.#await(this.unsent.add(text, to, new Date()), reply);
  }

  /**
   * A private message came, whichever room it came through.
   *
   * @param {PrivateMessage} message
   */
  whispered(message) {
    if (this.#privates) this.#privates.push(message);
    else this.#events.added(this, this.timeline.append(message));
  }

  /** @param {Draft} draft */
  retry(draft) {
    this.discard(draft);
    this.say(draft.text, draft.to);
  }

  /** @param {Draft} draft */
  discard(draft) {
    this.unsent.remove(draft);
    this.#events.drafts(this);
  }

  /**
   * Gets older messages and puts them before the others.
   *
   * @returns {Promise<boolean>} whether there were any
   */
  async lookBack() {
    const oldest = this.timeline.oldest;
    if (this.#isLooking || !oldest) return false;
    this.#isLooking = true;
    try {
      const { messages, more } = await this.client.history(oldest.offset, PAGE);
      this.hasOlder = more;
      return this.timeline.prepend(messages);
    } finally {
      this.#isLooking = false;
    }
  }

  #listen() {
    const { client } = this;
    const events = this.#events;
    // Everything is shown by the listeners below.
    client.handleMessage = () => {};
    client.on('state', ({ state, reason }) => {
      if (reason === Reason.TokenRefused) events.tokenRefused();
      events.state(this, state);
      if (state === State.Failed && reason === Reason.Unauthorized) events.signedOut();
    });
    client.on('gap', (gap) => {
      // One in the middle of a connection stands where it is; after a reconnect, before what comes.
      if (this.#wasJoined) events.added(this, this.timeline.append({ kind: 'gap', text: gapWords(gap), at: new Date() }));
      else this.#gap = gapWords(gap);
    });
    client.on('room-history', ({ messages, users }) => {
      const first = messages[0];
      if (!this.timeline.oldest) this.hasOlder = first?.offset !== undefined && first.offset > 1;
      this.#join(messages, users);
    });
    // What was missed follows as messages.
    client.on('recovered', ({ users }) => this.#join([], users));
    client.on('user-joined', ({ user }) => {
      if (this.roster.joined(user)) this.#cameOrWent(`${displayName(user)} joined`);
      events.members(this);
    });
    client.on('user-left', ({ user }) => {
      if (this.roster.left(user)) this.#cameOrWent(`${displayName(user)} left`);
      events.members(this);
    });
    client.on('chat-message', (message) => {
      const added = this.timeline.receive(message);
      this.#appeared(added);
      if (added.length > 0) events.added(this, added);
    });
    client.on('deleted', ({ offset }) => {
      if (this.timeline.remove(offset)) events.removed(this);
    });
    client.on('private-message', ({ from, text, timestamp }) => {
      events.whispered(this, { kind: 'private', from, to: this.#self, text, at: new Date(timestamp) });
    });
    client.on('typing-users', (users) => events.typing(this, users.filter(({ id }) => !sameUser(id, this.#self.id))));
    client.on('restored', ({ message, reply }) => this.#restored(message, reply));
    client.on('error', (refusal) => {
      if (!isOfToken(refusal)) events.failed(this, refusalWords(refusal));
    });
    client.on('state', ({ state }) => {
      if (state === State.Connected || !this.#wasJoined) return;
      this.#wasJoined = false;
      // Who is there now, nobody knows.
      events.members(this);
    });
    this.#presence.on('change', () => events.members(this));
  }

  /**
   * @param {import('./timeline.js').WireMessage[]} messages
   * @param {User[]} users
   */
  #join(messages, users) {
    this.#wasJoined = true;
    this.roster.reset(users);
    this.#events.members(this);
    const added = this.timeline.merge(messages, { privates: this.#privates ?? [], gap: this.#gap });
    this.#privates = null;
    this.#gap = null;
    this.#appeared(added);
    if (messages.length > 0) this.unsent.passed(this.timeline.newest);
    // Who comes for the first time has not missed what was said before.
    if (this.#marks.get(this.name) === null) this.markRead();
    if (added.length > 0) this.#events.added(this, added);
    this.#events.joined(this);
  }

  /** @param {Item[]} items */
  #appeared(items) {
    for (const item of items) {
      if (item.kind === 'message' && sameUser(item.user.id, this.#self.id)) this.unsent.appeared(item);
    }
    this.#events.drafts(this);
  }

  /**
   * Takes up a message that an earlier page did not get out.
   *
   * @param {{ type: string, text: string, targetUserId?: User['id'] }} message
   * @param {Promise<any>} reply
   */
  #restored({ type, text, targetUserId }, reply) {
    const to = type === 'private' && targetUserId !== undefined ? this.#find(targetUserId) : null;
    void this.#await(this.unsent.add(text, to, new Date()), reply);
  }

  /**
   * @param {Draft} draft
   * @param {Promise<any>} reply
   */
  async #await(draft, reply) {
    this.#events.drafts(this);
    try {
      const { messageId } = await reply;
      if (draft.to) {
        this.unsent.remove(draft);
        this.#events.drafts(this);
        this.#events.whispered(this, { kind: 'private', from: this.#self, to: draft.to, text: draft.text, at: new Date() });
      } else {
        this.unsent.confirmed(draft, messageId, messageId <= this.timeline.newest);
      }
    } catch (error) {
      // The room was left: the outbox keeps it.
      if (/** @type {any} */ (error).code === 'closed') return;
      this.unsent.failed(draft, failureWords(/** @type {any} */ (error)));
    }
    this.#events.drafts(this);
  }

  /** @param {string} text */
  #cameOrWent(text) {
    if (this.roster.size > COMPANY) return;
    this.#events.added(this, this.timeline.append({ kind: 'notice', text, at: new Date() }));
  }

  /**
   * @param {User['id']} id
   * @returns {User}
   */
  #find(id) {
    return this.roster.find(id)?.user ?? { id, email: String(id) };
  }
}

/**
 * @param {import('../client/index.js').Gap} gap
 */
export function gapWords({ from, to, reason }) {
  if (reason === 'epoch') return 'The server began anew here: what was said before it did may be missing';
  if (from === undefined || to === undefined) return 'Messages may be missing here';
  return to === from ? 'One message was missed here' : `${to - from + 1} messages were missed here`;
}

/** The description of this device that the others get. */
function thisDevice() {
  const agent = navigator.userAgent;
  const browser = ['Firefox', 'Edg', 'OPR', 'Chrome', 'Safari'].find((name) => agent.includes(`${name}/`));
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac', 'CrOS', 'Linux'].find((name) => agent.includes(name));
  /** @type {Record<string, string>} */
  const names = { Edg: 'Edge', OPR: 'Opera', CrOS: 'ChromeOS' };
  const words = [browser, system].map((name) => name && (names[name] ?? name));
  return { name: words.filter(Boolean).join(' on ') || 'A browser' };
}
