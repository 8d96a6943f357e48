import { StrictMode, act, createElement as h } from 'react';
import { createRoot } from 'react-dom/client';
import { expect, test } from 'vitest';

import { testWorld } from 'nextrush-client/testing';
import { Board } from './board.js';

globalThis.IS_REACT_ACT_ENVIRONMENT = true;

test('a board shows what is published, also what it missed', async () => {
  const world = testWorld();
  const root = createRoot(document.body);
  await act(async () => root.render(h(StrictMode, null, h(Board, { options: world.options }))));
  await act(() => world.settle());
  expect(document.body.textContent).toBe('connected:  (1)');
  expect([world.connections, world.subscribers('board')]).toEqual([1, 1]);
  await act(() => world.publish('board', 'a'));
  await act(() => world.lose());
  expect(document.body.textContent).toBe('disconnected: a (1)');
  await world.publish('board', 'b');
  await act(() => world.advance(1_000));
  expect(document.body.textContent).toBe('connected: a b (1)');
  await act(async () => root.unmount());
});
