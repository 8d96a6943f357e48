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

import { Presence } from './presence.js';
import { shared } from './shared.js';

/** @import { ChatClient } from './chat-client.js' */
/** @import { LiveClient } from './live-client.js' */
/** @import { Gap } from './position.js' */
/** @import { Session } from './session.js' */
/** @import { Reason, State } from './states.js' */
/** @import { Subscription, SubscriptionState } from './subscription.js' */
/** @import { ChatMessage, PresenceMember, Update, UpdateDeleted, User } from './wire.js' */

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
  useEffect(() => connections(client), [client]);
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
 * Listens to a channel while the component is there. Several components may listen to one
 * channel; it is left with the last of them.
 *
 * @example
 * const { state } = useSubscription(live, 'posts', {
 *   onUpdate: ({ data }) => setPosts((posts) => [...posts, data.post]),
 *   onGap: () => reload(),
 * });
 *
 * @template [T=any] What is published in the channel; a claim that nobody checks.
 * @param {LiveClient<any>} live
 * @param {string} channel
 * @param {{ onUpdate?: (update: Update<T>) => void, onGap?: (gap: Gap) => void,
 *   onDeleted?: (deleted: UpdateDeleted) => void }} [listeners] Those of the latest rendering are
 *   called. After `onDeleted` the update with its `offset` is not to be shown any more.
 * @returns {{ state: SubscriptionState }}
 */
export function useSubscription(live, channel, listeners = {}) {
  const latest = useRef(listeners);
  useEffect(() => {
    latest.current = listeners;
  });
  const [state, setState] = useState(/** @type {SubscriptionState} */ ('subscribing'));
  useEffect(() => {
    const stop = subscriptions(live, channel);
    const subscription = /** @type {Subscription<T>} */ (live.subscribe(channel));
    setState(subscription.state);
    const stops = [
      subscription.on('update', (update) => latest.current.onUpdate?.(update)),
      subscription.on('deleted', (deleted) => latest.current.onDeleted?.(deleted)),
      subscription.on('gap', (gap) => latest.current.onGap?.(gap)),
      subscription.on('state', setState),
      stop,
    ];
    return () => stops.forEach((stop) => stop());
  }, [live, channel]);
  return { state };
}

/**
 * The members of a channel. Subscribes to it while the component is there.
 *
 * @template [D=any] What devices tell about themselves.
 * @param {LiveClient<any>} live
 * @param {string} channel
 * @returns {readonly PresenceMember<D>[]}
 */
export function usePresence(live, channel) {
  const [members, setMembers] = useState(/** @type {readonly PresenceMember<D>[]} */ ([]));
  useEffect(() => {
    const stop = subscriptions(live, channel);
    const presence = /** @type {Presence<D>} */ (new Presence(live, channel));
    setMembers(presence.members);
    const unlisten = presence.on('change', setMembers);
    return () => {
      unlisten();
      presence.close();
      stop();
    };
  }, [live, channel]);
  return members;
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
 * @param {Session<any>} client
 * @param {string} type
 */
function useListener(client, type) {
  return useCallback(
    (/** @type {() => void} */ listener) => client.on(type, listener),
    [client, type],
  );
}

const connections = shared(
  (/** @type {Session<any>} */ client) => client.connect(),
  (client) => client.close(),
);

const subscriptions = shared(
  (/** @type {LiveClient<any>} */ live, channel) => {
    live.subscribe(channel);
  },
  (live, channel) => live.unsubscribe(channel),
);
