/**
 * Presence in a channel.
 *
 * @module
 */

import { Deadline } from './deadline.js';
import { Emitter } from './emitter.js';
import { PresenceState } from './presence-state.js';
import { randomId } from './random-id.js';

/** @import { ClientError } from './errors.js' */
/** @import { LiveClient } from './live-client.js' */
/** @import { Subscription } from './subscription.js' */
/** @import { PresenceDevice, PresenceMember, User } from './wire.js' */

/** The time that somebody counts as typing after the last key, in milliseconds. */
const TYPING_MS = 6_000;

/**
 * @template [D=any]
 * @template [U=User]
 * @typedef {object} PresenceEvents
 * @property {readonly PresenceMember<D, U>[]} change The members, after each change.
 * @property {ClientError} refused The server refuses, as for a channel that has no presence.
 */

/**
 * The members of a channel with their devices: a list that stays true across lost connections.
 *
 * @example
 * const presence = new Presence(live, 'presence-room-7');
 * presence.on('change', (members) => show(members));
 * presence.update({ status: 'away' });
 *
 * @template [D=any] What devices tell about themselves.
 * @template [U=User] What the server shows of a user; a claim that nobody checks.
 * @extends {Emitter<PresenceEvents<D, U>>}
 */
export class Presence extends Emitter {
  #subscription;
  #list = new PresenceState();
  /** The data of this device, told again on each connection. @type {D | undefined} */
  #data;
  /** The mark in the data by which others see that this device is typing. */
  #mark = randomId();
  /** The time at which it counts as typing no more. */
  #typing;
  /** @type {(() => void)[]} */
  #stops;

  /**
   * Subscribes to the channel, if that is not done yet.
   *
   * @overload
   * @param {LiveClient<any>} live
   * @param {string} channel
   */
  /**
   * @overload
   * @param {Subscription} subscription
   */
  /**
   * @param {any} live
   * @param {string} [name]
   */
  constructor(live, name) {
    super();
    /** @type {Subscription} */
    const subscription = name === undefined ? live : live.subscribe(name);
    const { client, channel } = subscription;
    this.#subscription = subscription;
    // That of tests, where there is one.
    this.#typing = new Deadline(/** @type {any} */ (client).environment.timers);
    this.#stops = [
      subscription.on('state', (state) => {
        if (state === 'subscribed') this.#enter();
        else if (state === 'unsubscribed' && this.#list.clear()) this.emit('change', this.members);
      }),
      client.on('presence', (snapshot) => {
        if (snapshot.channel !== channel) return;
        const before = this.members;
        const wanted = this.#list.snapshot(snapshot);
        if (wanted !== null) this.#ask(wanted);
        if (this.members !== before) this.emit('change', this.members);
      }),
      client.on('presence-diff', (diff) => {
        if (diff.channel !== channel) return;
        const before = this.members;
        if (!this.#list.diff(diff)) this.#ask();
        if (this.members !== before) this.emit('change', this.members);
      }),
    ];
    if (subscription.state === 'subscribed') this.#ask();
  }

  /**
   * The members, in the order in which they came, this user included. While disconnected: those
   * of the lost connection. The same array until something changes.
   *
   * @returns {readonly PresenceMember<D, U>[]}
   */
  get members() {
    return /** @type {readonly PresenceMember<D, any>[]} */ (this.#list.list);
  }

  /**
   * Tells the others something about this device, now and after each reconnect.
   *
   * @param {D} data Anything that JSON can say.
   */
  update(data) {
    this.#data = data;
    if (this.#subscription.state === 'subscribed') this.#tell();
  }

  /**
   * The others who are typing in the channel, in the order in which they came: those who said so by
   * `setTyping`, each once.
   *
   * @returns {U[]}
   */
  get typingUsers() {
    const types = (/** @type {PresenceDevice<any>} */ { data }) => data?.typing && data.typing !== this.#mark;
    return this.members.filter(({ devices }) => devices.some(types)).map(({ user }) => user);
  }

  /**
   * Tells the others whether somebody is typing here; may be called at each key press. It is told when it
   * changes, and ends by itself six seconds after the last call. What `update` tells beside it must be an object.
   *
   * @param {boolean} isTyping
   */
  setTyping(isTyping) {
    const was = this.#typing.set;
    const changed = () => this.#subscription.state === 'subscribed' && this.#tell();
    if (isTyping) this.#typing.start(TYPING_MS, changed);
    else this.#typing.clear();
    if (was !== isTyping) changed();
  }

  /** Stops listening. The subscription stays. */
  close() {
    this.#typing.clear();
    for (const stop of this.#stops) stop();
  }

  #enter() {
    this.#list.forget();
    this.#ask();
    if (this.#data !== undefined || this.#typing.set) this.#tell();
  }

  /**
   * @param {number} [after] The place at which the wanted page begins.
   */
  #ask(after = 0) {
    this.#request({ type: 'presence', after });
  }

  #tell() {
    const data = this.#data;
    const told = this.#typing.set ? { ...data, typing: this.#mark } : (data ?? {});
    this.#request({ type: 'presence-update', data: told }, () => {
      // Nor is it told again on the next connection.
      if (this.#data === data) this.#data = undefined;
    });
  }

  /**
   * Asks the server. A question that is lost with the connection is repeated on the next one.
   *
   * @param {object} message
   * @param {() => void} [unsayable] Called when it can never be sent.
   */
  #request(message, unsayable = () => {}) {
    this.#subscription.request(message, { repeat: false }).catch((error) => {
      const never = [error.code, error.refusal].some((code) => code === 'too-large' || code === 'invalid-message');
      if (never) unsayable();
      if (never || error.code === 'refused') this.emit('refused', error);
    });
  }
}
