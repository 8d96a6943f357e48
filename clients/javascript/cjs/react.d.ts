import type { ChatClient } from './chat-client.js';
import type { ClientError } from './errors.js';
import type { LiveClient } from './live-client.js';
import type { Gap, Since } from './position.js';
import type { Session } from './session.js';
import type { Reason, State } from './states.js';
import type { SubscriptionState } from './subscription.js';
import type { ChatMessage, Initial, PresenceMember, Update, UpdateDeleted, User } from './wire.js';
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
export declare function useClient<C extends Session<any>>(make: () => C): C;
/**
 * The state of a client, and the reason for it.
 *
 * @param {Session<any>} client
 * @returns {{ state: State, reason: Reason }}
 */
export declare function useConnection(client: Session<any>): {
    state: State;
    reason: Reason;
};
export type SubscriptionListeners<T = any, I = any> = {
    onUpdate?: (update: Update<T>) => void;
    /**
     * The state of the channel where its updates begin. A
     * component that comes to a channel that others listen to already is told none.
     */
    onInitial?: (initial: Initial<I>) => void;
    onGap?: (gap: Gap) => void;
    onRecovered?: (recovered: {
        missed: number;
    }) => void;
    /**
     * The update with its `offset` is not to be shown any
     * more.
     */
    onDeleted?: (deleted: UpdateDeleted) => void;
};
export type ChannelOptions = {
    /**
     * Whether to listen at all. Default: true.
     */
    enabled?: boolean;
    /**
     * Where to begin: the position that came with what is shown already. Of the
     * first component that listens. Default: with what is published from now on.
     */
    since?: Since | null;
};
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
export declare function useSubscription<T = any, I = any>(live: LiveClient<any>, channel: string | null | undefined, options?: SubscriptionListeners<T, I> & ChannelOptions): {
    state: SubscriptionState;
    error: ClientError | undefined;
    recovered: boolean | undefined;
};
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
export declare function useLatest<T = any>(live: LiveClient<any>, channel: string | null | undefined, options?: ChannelOptions): {
    data: T | undefined;
    state: SubscriptionState;
    error: ClientError | undefined;
};
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
export declare function usePresence<D = any, U = User>(live: LiveClient<any>, channel: string | null | undefined, options?: {
    enabled?: boolean;
}): {
    members: readonly PresenceMember<D, U>[];
    update: (data: D) => void;
    error: ClientError | undefined;
};
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
export declare function useTyping(live: LiveClient<any>, channel: string | null | undefined, options?: {
    enabled?: boolean;
}): {
    typing: readonly User[];
    setTyping: (isTyping: boolean) => void;
};
/**
 * A room: its messages, its members, and who is typing.
 *
 * @param {ChatClient<any>} chat
 * @param {{ limit?: number }} [options] `limit`: how many messages are shown. Default 500, which is
 *   the most.
 * @returns {{ messages: readonly ChatMessage[], users: readonly User[], typing: readonly User[] }}
 */
export declare function useChat(chat: ChatClient<any>, { limit }?: {
    limit?: number;
}): {
    messages: readonly ChatMessage[];
    users: readonly User[];
    typing: readonly User[];
};
export type Shown = {
    state: SubscriptionState;
    error: ClientError | undefined;
    recovered: boolean | undefined;
};
