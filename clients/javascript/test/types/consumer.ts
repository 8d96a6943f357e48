// What an application in TypeScript writes; compiled, never run. Each `@ts-expect-error` fails
// the check if the types would let the mistake pass.

import {
  ChatClient,
  Client,
  ClientError,
  ErrorCode,
  LiveClient,
  Outbox,
  Presence,
  Reason,
  State,
  SubscriptionState,
  hold,
  listen,
  type AnyMessages,
  type ChatClientOptions,
  type ChatMessage,
  type Gap,
  type Initial,
  type RequestStore,
  type Session,
  type Since,
  type StateChange,
  type Subscription,
  type Update,
  type User,
} from 'nextrush-client';
import { useChat, useClient, useConnection, useLatest, usePresence, useSubscription, useTyping } from 'nextrush-client/react';
import { sharedWebSocket } from 'nextrush-client/tabs';
import WebSocket from 'ws';

const client = new Client(async () => '/live?token=fresh', { WebSocket, protocols: ['v1'] });
const removed: void = client.on('state', (change) => {
  const { state, reason, code }: StateChange = change;
  const known: 'connecting' | 'connected' | 'disconnected' | 'suspended' | 'closed' | 'failed' =
    state;
  const login: boolean = reason === Reason.Unauthorized;
  const maybe: number | undefined = code;
  void [known, login, maybe];
})();
client.on('retry', ({ attempt, delayMs }) => attempt + delayMs);
client.on('fault', (error) => error.code === ErrorCode.InvalidMessage);
client.on('error', ({ code }) => code === ErrorCode.UnknownType);
new Client<AnyMessages>('/anything').on('anything', (message) => message['whatever']);
const sent: boolean = client.send({ type: 'x' });

interface Game {
  move: { type: 'move'; x: number };
}
const game = new Client<Game>('/games/1/players/2');
game.on('move', ({ x }) => x.toFixed());

class Page extends ChatClient {
  override displayMessage({ user, text }: ChatMessage) {
    document.title = `${user.email}: ${text}`;
  }
}
const options: ChatClientOptions = { server: 'wss://chat.example', maxReconnectAttempts: 9 };
const chat = new Page('lobby', () => Promise.resolve('jwt'), options);
chat.on('users', (users: User[]) => users.map(({ email }) => email));
chat.on('typing-users', (users) => users.length);
chat.on('room-history', ({ messages, users }) => messages.length + users.length);
chat.on('private-message', ({ from, text }) => `${from.email}: ${text}`);
chat.displayError = (text) => text.trim();
chat.sendPrivate(7, 'psst');
chat.sendTyping(true);
chat.maxReconnectAttempts = Infinity;
chat.token = null;

const live = new LiveClient('jwt');
const posts: Subscription = live.subscribe('posts');
interface Post {
  title: string;
}
live.subscribe<Post>('posts').on('update', ({ data }) => data.title.trim());
live.request<{ sum: number }>({ type: 'add', a: 1, b: 2 }).then(({ sum }) => sum.toFixed());
const board = new LiveClient<{ moved: { type: 'moved'; card: number } }>('jwt');
board.on('moved', ({ card }) => card.toFixed());
board.on('update', ({ channel }) => channel);
posts.on('update', ({ data, channel, timestamp }) => [data.post, channel, timestamp]);
posts.on('state', (state) => state === SubscriptionState.Subscribed);

posts.on('recovered', ({ missed }) => missed.toFixed());
posts.on('gap', ({ reason, from = 0, to = 0 }: Gap) => `${reason} ${to - from}`);
const since: Since | null = posts.position;
const again = live.subscribe('post-7', { since: { epoch: 'e', offset: 7 } });
async function read(): Promise<void> {
  for await (const event of again) {
    if (event.type === 'update') event.data;
    const any: Update<{ post: Post }> | Initial | Gap = event;
    void any;
  }
}

const watch = (session: Session<any>) => session.on('state', ({ state }) => state);
[client, chat, live].map(watch);
const store: RequestStore = { load: async () => [], put: async () => {}, remove: async () => {} };
const outbox = globalThis.indexedDB ? new Outbox('of ada') : new Outbox(store);
const patient = new LiveClient(async () => 'jwt', { outbox, requestTimeoutMs: 5_000 });
const reply: Promise<unknown> = patient.request({ type: 'x' }, { timeoutMs: 1, repeat: false });
patient.on('restored', ({ id, message, reply }) => [id, message.text, reply.then()]);
const column = live.subscribe<{ moved: number }, { cards: string[] }>('column-7');
column.on('initial', ({ data }) => data.cards.join());
column.on('unsubscribed', ({ refusal, message }) => refusal === ErrorCode.Kicked && message);
live.on('joined', ({ channel }) => channel.trim());
live.handle('confirm', async ({ question }) => question === 'sure?')();
new LiveClient('jwt', { tokenIn: 'subprotocol' });
new LiveClient(async () => 'ticket', { tokenIn: 'ticket' });
new LiveClient(async () => 'jwt', { tokenIn: 'message' });
// @ts-expect-error: no such way for a token
new LiveClient('jwt', { tokenIn: 'cookie' });
live.subscribe<Post>('posts').publish({ title: 'New' }).then(({ offset }) => offset);
live.history<Post>('posts', { before: 7, limit: 10 }).then(({ publications, next = 0 }) => publications[0]?.data.title.at(next));
live.subscribe<Post>('posts').history().then(({ publications: [oldest] }) => oldest?.data.title);
live.subscribe<Uint8Array>('canvas').on('update', ({ data }) => data.byteLength);
live.subscribe<Uint8Array>('canvas').publish(new ArrayBuffer(8));
void live.publish('canvas', new Uint8Array(8));
// @ts-expect-error: an offset
void live.history('posts', { before: { epoch: 'e', offset: 7 } });
// @ts-expect-error: a post has a title
live.subscribe<Post>('posts').publish({ name: 'New' });
live.subscribe('posts').request<number>({ type: 'count' }).then((count) => count.toFixed());
new Presence(column).on('change', (members) => members.length);
const presence = new Presence(live, 'posts');
presence.on('change', (members) => members.flatMap(({ user, devices }) => [user.email, devices.length]));
presence.update({ status: 'away' });
interface Cursor {
  x: number;
}
const cursors = new Presence<Cursor>(live, 'cursors');
cursors.on('change', (members) => members.map(({ devices }) => devices[0]?.data?.x));
interface Person {
  id: string;
  picture: string;
}
const people = new Presence<Cursor, Person>(live, 'people');
people.on('change', (members) => members.map(({ user }) => user.picture.trim()));
// @ts-expect-error: as the server shows users by default, they have no pictures
cursors.on('change', (members) => members.map(({ user }) => user.picture));
chat.say('hello').then((ack) => ack['messageId']);
chat.on('recovered', ({ missed, users }) => missed + users.length);

const heard: () => void = listen<Post>(live, 'posts', { update: ({ data }) => data.title.trim(), state: (state) => state === 'refused' });
const held: () => void = hold(live);
void [heard, held];
// @ts-expect-error: no such event
listen(live, 'posts', { updates: () => {} });
const stop = new ClientError(ErrorCode.Unauthorized, 'log in again', { cause: 1 });

chat.say('psst').catch(({ refusal }: ClientError) => refusal === ErrorCode.UserOffline || refusal === 'of-a-later-version');
chat.on('error', ({ code }) => code === ErrorCode.RateLimited);

const careful = new ChatClient('lobby', 'opaque', { user: 7, patienceMs: 0, fetch: null, now: () => performance.now(), date: Date.now });
const texts: string[] = careful.recentMessages.map(({ text }) => text);
careful.on('state', ({ reason, error }) => reason === Reason.Refused && (error as ClientError).refusal === ErrorCode.Forbidden);
void texts;

// @ts-expect-error: no such event
client.on('typo', () => {});
// @ts-expect-error: no such event
live.on('updates', () => {});
// @ts-expect-error: no such event
posts.on('typo', () => {});
// @ts-expect-error: no such event
presence.on('changes', () => {});
// @ts-expect-error: no such event
chat.off('chat-messages', () => {});
// @ts-expect-error: no such message of this game
game.on('moves', () => {});
// @ts-expect-error: no such field of a post
live.subscribe<Post>('posts').on('update', ({ data }) => data.name);
// @ts-expect-error: no such field of a reply
live.request<{ sum: number }>({ type: 'add' }).then(({ total }) => total);
// @ts-expect-error: a cursor has no status
cursors.update({ status: 'away' });
// @ts-expect-error: no such state
client.state === 'open';
// @ts-expect-error: read-only
client.state = State.Closed;
// @ts-expect-error: events come from the client alone
client.emit('state', {});
// @ts-expect-error: a message is an object
client.send('text');
// @ts-expect-error: no such code
new ClientError('whatever', '');
// @ts-expect-error: no such option
new ChatClient('lobby', 'jwt', { url: 'ws://chat.example' });
// @ts-expect-error: a token is text
new LiveClient(7);
// @ts-expect-error: no such field
chat.on('private-message', ({ to }) => to);

function Component() {
  const one = useClient(() => new LiveClient('jwt', { WebSocket: sharedWebSocket('live of 7') }));
  const { state, reason } = useConnection(one);
  useSubscription(one, 'posts', { onUpdate: ({ data }) => data.post, onGap: ({ reason }) => reason });
  useSubscription<Post>(one, 'posts', { onUpdate: ({ data }) => data.title.trim() });
  const { state: where, error, recovered } = useSubscription<Post, Post[]>(one, null, {
    enabled: false,
    since: posts.position,
    onInitial: ({ data }) => data.map(({ title }) => title),
    onRecovered: ({ missed }) => missed.toFixed(),
  });
  const refusal = where === SubscriptionState.Refused && error?.refusal === ErrorCode.SubscribeRefused && !recovered;
  const { data } = useLatest<{ price: number }>(one, 'acme', { enabled: refusal });
  data?.price.toFixed();
  const { update } = usePresence<Cursor>(one, 'cursors', { enabled: false });
  // @ts-expect-error: a cursor has no status
  update({ status: 'away' });
  const { typing: typists, setTyping } = useTyping(one, 'cursors');
  setTyping(typists.some(({ email }) => email === ''));
  usePresence<Cursor>(one, 'cursors').members.map(({ devices }) => devices[0]?.data?.x);
  usePresence<Cursor, Person>(one, 'people').members.map(({ user }) => user.picture.trim());
  const { messages, users, typing } = useChat(useClient(() => new ChatClient('lobby', 'jwt')));
  return [state, reason, usePresence(one, 'posts').members.length, messages.length + users.length + typing.length];
}

export { Component, read, removed, reply, sent, since, stop };
