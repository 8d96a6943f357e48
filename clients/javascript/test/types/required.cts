// The same by `require`, as Jest and older tools load it; compiled, never run.

import { LiveClient, State, type Update } from 'nextrush-client';
import { useSubscription } from 'nextrush-client/react';
import { testWorld } from 'nextrush-client/testing';

const world = testWorld({ commands: { add: ({ a, b }) => a + b } });
const live = new LiveClient('ada', world.options);
const connected: boolean = live.state === State.Connected;
live.subscribe<number>('n').on('update', ({ data }: Update<number>) => data.toFixed());
world.publish('n', 1).then(() => world.subscribers('n').toFixed());
// @ts-expect-error: no such member
world.server;

export { connected, useSubscription };
