// What an application writes where there is no DOM, as in React Native or a worker of an edge; compiled
// with nothing but the language, never run.

import { Client, LiveClient, Outbox, Presence, type WebSocketConstructor } from 'nextrush-client';
import { sharedWebSocket } from 'nextrush-client/tabs';

declare const WebSocket: WebSocketConstructor;
declare const indexedDB: { open: (name: string) => object };

const live = new LiveClient<{ moved: { card: number } }>('jwt', { WebSocket, network: null, page: null, fetch: null });
live.on('moved', ({ card }) => card.toFixed());
new Presence(live, 'posts').update({ status: 'away' });
new Client('/endpoint', { outbox: new Outbox('of ada', { indexedDB }), WebSocket: sharedWebSocket('of ada') });
