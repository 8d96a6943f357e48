import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { LiveClient, Outbox } from 'nextrush-client';
import { testWorld } from 'nextrush-client/testing';
import { afterEach, expect, test, vi } from 'vitest';

import { App, Boards } from './app';
import type { BoardState, Person } from './wire';

const ada: Person = { id: 'ada', name: 'Ada', picture: '/pictures/0.svg' };
const bob: Person = { id: 'bob', name: 'Bob', picture: '/pictures/1.svg' };
const garden: BoardState = {
  name: 'Garden',
  owner: 'ada',
  members: [ada, bob],
  cards: [{ id: 1, list: 'todo', place: 1, text: 'Dig' }],
};

/** The page of somebody who looks at a board, and the world around it. */
async function open(me: Person) {
  const world = testWorld({
    users: (token) => [ada, bob].find(({ id }) => id === token),
    channels: (user) => [`user:${user}`],
    initial: (channel) => (channel.startsWith('user:') ? [{ id: '7', name: 'Garden' }] : garden),
    commands: {
      'add-card': ({ text }) => {
        if (text === 'Weeds') throw new Error('Not here');
      },
    },
  });
  const make = () => new LiveClient(me.id, { ...world.options, outbox: new Outbox() });
  const onSignedOut = vi.fn();
  render(<Boards {...{ me, make, onSignedOut }} />);
  await act(world.settle);
  fireEvent.click(screen.getByText('Garden'));
  await act(world.settle);
  return { world, onSignedOut };
}

async function enter(world: { settle(): Promise<void> }, label: string, text: string) {
  const field: HTMLInputElement = screen.getAllByLabelText<HTMLInputElement>(label)[0]!;
  fireEvent.change(field, { target: { value: text } });
  fireEvent.submit(field.form!);
  await act(world.settle);
  return field;
}

const list = (title: string) => screen.getByRole('region', { name: title }).querySelector('article')?.firstChild?.textContent;

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

test('a card that somebody else moves is moved here', async () => {
  const { world } = await open(ada);
  expect([list('To do'), list('Done')]).toEqual(['Dig', undefined]);
  await act(() => world.publish('board-7', { card: { ...garden.cards[0], list: 'done' } }));
  expect([list('To do'), list('Done')]).toEqual([undefined, 'Dig']);
  await act(() => world.publish('board-7', { card: { id: 1, list: null } }));
  expect(list('Done')).toBeUndefined();
});

test('whoever is here is shown by name and picture', async () => {
  const { world } = await open(ada);
  const live = new LiveClient('bob', world.options);
  live.connect();
  live.subscribe('board-7');
  await act(world.settle);
  const shown = within(screen.getByLabelText('Here now')).getAllByRole('listitem');
  expect(shown.map((item) => item.textContent?.trim())).toEqual(['Ada', 'Bob']);
  expect(shown.map((item) => item.querySelector('img')?.getAttribute('src'))).toEqual([ada.picture, bob.picture]);
});

test('a command waits for the connection, and its text goes when it was executed', async () => {
  const { world } = await open(ada);
  await act(world.lose);
  const field = await enter(world, 'New card', 'Water');
  expect([field.value, world.commands]).toEqual(['Water', []]);
  await act(() => world.advance(1_000));
  expect(world.commands).toEqual([{ type: 'add-card', board: '7', list: 'todo', text: 'Water' }]);
  expect(field.value).toBe('');
});

test('what is refused is told, and the text stays', async () => {
  const { world } = await open(ada);
  const field = await enter(world, 'New card', 'Weeds');
  expect([screen.getByRole('alert').textContent, field.value]).toEqual(['Not here', 'Weeds']);
});

test('somebody who is removed is told so', async () => {
  const { world } = await open(bob);
  await act(() => world.kick('bob', 'board-7'));
  expect(screen.getByText('You were removed from this board.')).toBeTruthy();
  expect(screen.queryByRole('region', { name: 'To do' })).toBeNull();
});

test('somebody who signs in is told what is wrong with the name, or sees the boards', async () => {
  const answers = [null, { message: 'That cannot be saved' }, ada];
  vi.stubGlobal('fetch', async () => ({ ok: answers.length !== 2, json: async () => answers.shift() }));
  const world = testWorld();
  await act(async () => void render(<App />));
  await enter(world, 'Your name', ' ');
  expect(screen.getByRole('alert').textContent).toBe('That cannot be saved');
  await enter(world, 'Your name', 'Ada');
  expect(screen.getByText('Sign out Ada')).toBeTruthy();
});
