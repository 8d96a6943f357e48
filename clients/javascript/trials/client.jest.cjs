/** @jest-environment jsdom */
const { LiveClient, ChatClient } = require('nextrush-client');
const { testWorld } = require('nextrush-client/testing');
const { useSubscription } = require('nextrush-client/react');

test('clients work in jsdom, by require and in virtual time', async () => {
  const world = testWorld({ commands: { add: ({ a, b }) => a + b } });
  const live = new LiveClient('ada', world.options);
  const heard = [];
  live.subscribe('posts').on('update', ({ data }) => heard.push(data));
  live.connect();
  await world.settle();
  const sum = live.request({ type: 'add', a: 1, b: 2 });
  await world.publish('posts', 'é');
  expect(await sum).toBe(3);
  expect(heard).toEqual(['é']);
  await world.lose();
  await world.advance(60_000);
  expect(live.state).toBe('connected');
  expect(typeof useSubscription).toBe('function');
  expect(new ChatClient('lobby', 'ada', world.options).state).toBe('closed');
});
