import type { ChatClient } from './chat-client.js';
import type { LiveClient } from './live-client.js';
import type { Gap } from './position.js';
import type { Session } from './session.js';
import type { Reason, State } from './states.js';
import type { SubscriptionState } from './subscription.js';
import type { ChatMessage, PresenceMember, Update, UpdateDeleted, User } from './wire.js';
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
export declare function useSubscription<T = any>(live: LiveClient<any>, channel: string, listeners?: {
    onUpdate?: (update: Update<T>) => void;
    onGap?: (gap: Gap) => void;
    onDeleted?: (deleted: UpdateDeleted) => void;
}): {
    state: SubscriptionState;
};
/**
 * The members of a channel. Subscribes to it while the component is there.
 *
 * @template [D=any] What devices tell about themselves.
 * @param {LiveClient<any>} live
 * @param {string} channel
 * @returns {readonly PresenceMember<D>[]}
 */
export declare function usePresence<D = any>(live: LiveClient<any>, channel: string): readonly PresenceMember<D>[];
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
