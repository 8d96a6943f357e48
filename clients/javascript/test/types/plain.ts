// What an application writes where there is no DOM, as in React Native or a worker of an edge; compiled
// with nothing but the language, never run.

import { Client, LiveClient, Outbox, Presence, type WebSocketConstructor } from 'nextrush-client';
import { channelStore } from 'nextrush-client/svelte';
import { sharedWebSocket } from 'nextrush-client/tabs';
import { liveQuery, type Queries } from 'nextrush-client/tanstack-query';
import { testWorld } from 'nextrush-client/testing';

declare const WebSocket: WebSocketConstructor;
declare const indexedDB: { open: (name: string) => object };

const live = new LiveClient<{ moved: { card: number } }>('jwt', { WebSocket, network: null, page: null, fetch: null });
live.on('moved', ({ card }) => card.toFixed());
new Presence(live, 'posts').update({ status: 'away' });
new Client('/endpoint', { outbox: new Outbox('of ada', { indexedDB }), WebSocket: sharedWebSocket('of ada') });

interface Post {
  id: number;
}
const posts = channelStore<Post[], Post>(live, 'posts', [], (posts, event) =>
  event.type === 'update' ? [...posts, event.data] : posts,
);
posts.subscribe((now) => now.map(({ id }) => id.toFixed()))();
declare const queries: Queries;
liveQuery<Post[], Post>(queries, live, 'posts', {
  queryKey: ['posts'],
  apply: (known, { data }) => [...known.filter(({ id }) => id !== data.id), data],
})();
new LiveClient('ada', testWorld().options);
