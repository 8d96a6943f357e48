'use client';

/**
 * Hooks for React 18 and newer.
 *
 * Clients and subscriptions are shared by all components that use them, and end when the last one
 * is gone; in Strict Mode, where React mounts everything twice, they are made once.
 *
 * @module
 */

import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';

import { hold, listen } from './listen.js';
import { Presence } from './presence.js';
import { shared } from './shared.js';

/** @import { ChatClient } from './chat-client.js' */
/** @import { ClientError } from './errors.js' */
/** @import { LiveClient } from './live-client.js' */
/** @import { Gap, Since } from './position.js' */
/** @import { Session } from './session.js' */
/** @import { Reason, State } from './states.js' */
/** @import { Subscription, SubscriptionState } from './subscription.js' */
/** @import { ChatMessage, Initial, PresenceMember, Update, UpdateDeleted, User } from './wire.js' */

/**
 * Connects a client while the component is there, and closes it afterwards.
 *
 * @example
 * const live = useClient(() => new LiveClient(token));
 *
 * @template {Session<any>} C
 * @param {() => C} make Called once in the life of the component; for another client, give the
 *   component another `key`.
 * @returns {C}
 */
export function useClient(make) {
  const [client] = useState(make);
  useEffect(() => hold(client), [client]);
  return client;
}

/**
 * The state of a client, and the reason for it.
 *
 * @param {Session<any>} client
 * @returns {{ state: State, reason: Reason }}
 */
export function useConnection(client) {
  const listen = useListener(client, 'state');
  const state = useSyncExternalStore(listen, () => client.state, () => client.state);
  const reason = useSyncExternalStore(listen, () => client.reason, () => client.reason);
  return { state, reason };
}

/**
 * @template [T=any]
 * @template [I=any]
 * @typedef {object} SubscriptionListeners
 * @property {(update: Update<T>) => void} [onUpdate]
 * @property {(initial: Initial<I>) => void} [onInitial] The state of the channel where its updates begin. A
 *   component that comes to a channel that others listen to already is told none.
 * @property {(gap: Gap) => void} [onGap]
 * @property {(recovered: { missed: number }) => void} [onRecovered]
 * @property {(deleted: UpdateDeleted) => void} [onDeleted] The update with its `offset` is not to be shown any
 *   more.
 */

/**
 * @typedef {object} ChannelOptions
 * @property {boolean} [enabled] Whether to listen at all. Default: true.
 * @property {Since | null} [since] Where to begin: the position that came with what is shown already. Of the
 *   first component that listens. Default: with what is published from now on.
 */

/**
 * Listens to a channel while the component is there. Several components may listen to one
 * channel; it is left with the last of them.
 *
 * @example
 * const { state, error } = useSubscription(live, 'posts', {
 *   onUpdate: ({ data }) => setPosts((posts) => [...posts, data.post]),
 *   onGap: () => reload(),
 * });
 *
 * @template [T=any] What is published in the channel; a claim that nobody checks.
 * @template [I=any] Its initial state; likewise.
 * @param {LiveClient<any>} live
 * @param {string | null | undefined} channel Without one, nothing is listened to.
 * @param {SubscriptionListeners<T, I> & ChannelOptions} [options] The listeners of the latest rendering are
 *   called.
 * @returns {{ state: SubscriptionState, error: ClientError | undefined, recovered: boolean | undefined }}
 *   `error`: why it was refused or ended. `recovered`: after a connection was lost, whether everything came that
 *   was missed.
 */
export function useSubscription(live, channel, options = {}) {
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const name = nameOf(channel, options);
  const [shown, setShown] = useState(/** @type {Shown} */ (name === null ? OFF : ASKED));
  useEffect(() => {
    if (name === null) {
      setShown(OFF);
      return undefined;
    }
    const stop = listen(
      live,
      name,
      {
        update: (update) => latest.current.onUpdate?.(update),
        initial: (initial) => latest.current.onInitial?.(initial),
        deleted: (deleted) => latest.current.onDeleted?.(deleted),
        gap: (gap) => {
          latest.current.onGap?.(gap);
          setShown((before) => ({ ...before, recovered: false }));
        },
        recovered: (recovered) => {
          latest.current.onRecovered?.(recovered);
          setShown((before) => ({ ...before, recovered: true }));
        },
        state: () => setShown((before) => ({ ...before, ...stateOf(subscription) })),
      },
      latest.current.since ? { since: latest.current.since } : {},
    );
    const subscription = live.subscribe(name);
    setShown({ ...stateOf(subscription), recovered: undefined });
    return stop;
  }, [live, name]);
  return shown;
}

/**
 * The newest publication of a channel: for prices, positions and settings, where only the last one matters.
 *
 * @template [T=any] What is published in the channel; a claim that nobody checks.
 * @param {LiveClient<any>} live
 * @param {string | null | undefined} channel Without one, nothing is listened to.
 * @param {ChannelOptions} [options]
 * @returns {{ data: T | undefined, state: SubscriptionState, error: ClientError | undefined }} `data`:
 *   `undefined` until something comes, the initial state of the channel included.
 */
export function useLatest(live, channel, options = {}) {
  const name = nameOf(channel, options);
  const [known, setKnown] = useState(/** @type {{ name: string | null, data?: T }} */ ({ name }));
  const show = (/** @type {{ data: T }} */ { data }) => setKnown({ name, data });
  const { state, error } = useSubscription(live, channel, { ...options, onUpdate: show, onInitial: show });
  useEffect(() => {
    // It came before this component did.
    const last = name === null ? undefined : live.subscribe(name).last;
    if (last) setKnown({ name, data: last.data });
  }, [live, name]);
  return { data: known.name === name ? known.data : undefined, state, error };
}

/**
 * The members of a channel, and what this device tells them. Subscribes to it while the component is there;
 * all components of a client that use a channel are one device with one `update`.
 *
 * @example
 * const { members, update } = usePresence(live, 'board-7');
 * useEffect(() => update({ status: 'away' }), [update]);
 *
 * @template [D=any] What devices tell about themselves.
 * @template [U=User] What the server shows of a user, such as a name and a picture; a claim that nobody checks.
 * @param {LiveClient<any>} live
 * @param {string | null | undefined} channel Without one, nobody is there.
 * @param {{ enabled?: boolean }} [options] `enabled`: whether to be there at all. Default: true.
 * @returns {{ members: readonly PresenceMember<D, U>[], update: (data: D) => void, error: ClientError | undefined }}
 *   `update` is the same function for the same channel. `error`: why the server refuses, as for a channel that has no
 *   presence.
 */
export function usePresence(live, channel, options = {}) {
  const { presence, members, error } = useSharedPresence(live, nameOf(channel, options));
  // Another one for another channel, so that effects tell it there.
  const update = useCallback((/** @type {D} */ data) => presence.current?.update(data), [presence, live, channel]);
  return { members: /** @type {readonly PresenceMember<D, any>[]} */ (members), update, error };
}

/**
 * The others who are typing in a channel with presence, and the way to tell them.
 *
 * @example
 * const { typing, setTyping } = useTyping(live, 'board-7');
 * return <input onInput={() => setTyping(true)} onBlur={() => setTyping(false)} />;
 *
 * @param {LiveClient<any>} live
 * @param {string | null | undefined} channel Without one, nobody is there.
 * @param {{ enabled?: boolean }} [options] `enabled`: whether to be there at all. Default: true.
 * @returns {{ typing: readonly User[], setTyping: (isTyping: boolean) => void }} `typing`: the others. `setTyping`
 *   is the same function through renderings, may be called at each key press, and ends by itself after six seconds.
 */
export function useTyping(live, channel, options = {}) {
  const { presence, typing } = useSharedPresence(live, nameOf(channel, options));
  const setTyping = useCallback(
    (/** @type {boolean} */ isTyping) => presence.current?.setTyping(isTyping),
    [presence],
  );
  return { typing, setTyping };
}

/**
 * @param {LiveClient<any>} live
 * @param {string | null} name
 */
function useSharedPresence(live, name) {
  /** @type {{ current: Presence | null }} */
  const presence = useRef(null);
  const [shown, setShown] = useState(NOBODY);
  useEffect(() => {
    if (name === null) return undefined;
    const leave = presences(live, name);
    const shared = /** @type {Presence} */ (made.get(live)?.get(name));
    presence.current = shared;
    const show = (/** @type {ClientError} */ error) =>
      setShown((before) => ({
        members: shared.members,
        typing: shared.typingUsers,
        error: error instanceof Error ? error : before.error,
      }));
    setShown({ members: shared.members, typing: shared.typingUsers, error: undefined });
    const stops = [shared.on('change', /** @type {any} */ (show)), shared.on('refused', show), leave];
    return () => {
      for (const stop of stops) stop();
      presence.current = null;
      setShown(NOBODY);
    };
  }, [live, name]);
  return { presence, ...shown };
}

/**
 * A room: its messages, its members, and who is typing.
 *
 * @param {ChatClient<any>} chat
 * @param {{ limit?: number }} [options] `limit`: how many messages are shown. Default 500, which is
 *   the most.
 * @returns {{ messages: readonly ChatMessage[], users: readonly User[], typing: readonly User[] }}
 */
export function useChat(chat, { limit = 500 } = {}) {
  const [messages, setMessages] = useState(/** @type {readonly ChatMessage[]} */ (chat.recentMessages.slice(-limit)));
  const [users, setUsers] = useState(/** @type {readonly User[]} */ (chat.users));
  const [typing, setTyping] = useState(/** @type {readonly User[]} */ (chat.typingUsers));
  useEffect(() => {
    // What came before this component did, and between its rendering and this.
    const show = () => setMessages(chat.recentMessages.slice(-limit));
    show();
    setUsers(chat.users);
    setTyping(chat.typingUsers);
    const stops = [
      chat.on('room-history', show),
      chat.on('chat-message', show),
      chat.on('deleted', show),
      chat.on('users', setUsers),
      chat.on('typing-users', setTyping),
    ];
    return () => stops.forEach((stop) => stop());
  }, [chat, limit]);
  return { messages, users, typing };
}

/**
 * @param {string | null | undefined} channel
 * @param {{ enabled?: boolean }} options
 */
function nameOf(channel, { enabled = true }) {
  return enabled ? (channel ?? null) : null;
}

/** @typedef {{ state: SubscriptionState, error: ClientError | undefined, recovered: boolean | undefined }} Shown */

/** @type {Shown} */
const ASKED = { state: 'subscribing', error: undefined, recovered: undefined };

/** @type {Shown} */
const OFF = { ...ASKED, state: 'unsubscribed' };

/** @type {{ members: readonly PresenceMember[], typing: readonly User[], error: ClientError | undefined }} */
const NOBODY = { members: [], typing: [], error: undefined };

/** @param {Subscription} subscription */
function stateOf({ state, error }) {
  return { state, error };
}

/**
 * @param {Session<any>} client
 * @param {string} type
 */
function useListener(client, type) {
  return useCallback(
    (/** @type {() => void} */ listener) => client.on(type, listener),
    [client, type],
  );
}

/** The presence of each channel that components use. @type {WeakMap<LiveClient<any>, Map<string, Presence>>} */
const made = new WeakMap();

const presences = shared(
  (/** @type {LiveClient<any>} */ live, channel) => {
    const those = made.get(live) ?? new Map();
    made.set(live, those);
    const presence = new Presence(live, channel);
    those.set(channel, presence);
    // Counted with those who only listen.
    leaves.set(presence, listen(live, channel, {}));
  },
  (live, channel) => {
    const presence = /** @type {Presence} */ (made.get(live)?.get(channel));
    made.get(live)?.delete(channel);
    presence.close();
    leaves.get(presence)?.();
  },
);

/** @type {WeakMap<Presence, () => void>} */
const leaves = new WeakMap();
