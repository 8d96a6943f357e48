import { type DragEvent, useState } from 'react';

import type { LiveClient } from 'nextrush-client';
import { usePresence, useSubscription } from 'nextrush-client/react';

import { Field } from './field';
import type { BoardState, Card, Person, Run, Update } from './wire';

const LISTS = { todo: 'To do', doing: 'Doing', done: 'Done' };

export function Board({ live, id, me, run }: { live: LiveClient; id: string; me: Person; run: Run }) {
  const channel = `board-${id}`;
  const [board, setBoard] = useState<BoardState>();
  const { error } = useSubscription<Update, BoardState>(live, channel, {
    onInitial: ({ data }) => setBoard(data),
    onUpdate: ({ data }) => setBoard((board) => board && apply(board, data)),
  });
  const { members: present } = usePresence<unknown, Person>(live, channel);
  if (error?.refusal === 'kicked') return <p role="alert">You were removed from this board.</p>;
  if (error) return <p role="alert">{error.message}</p>;
  if (!board) return null;
  const mayRemove = (user: string) => user !== board.owner && [user, board.owner].includes(me.id);
  return (
    <>
      <ul aria-label="Here now">
        {present.map(({ user }) => (
          <li key={user.id}><img src={user.picture} alt="" /> {user.name}</li>
        ))}
      </ul>
      <div>
        {Object.entries(LISTS).map(([list, title]) => {
          const cards = board.cards.filter((card) => card.list === list).sort((a, b) => a.place - b.place);
          return <List key={list} {...{ list, title, cards, id, run }} />;
        })}
      </div>
      <ul aria-label="Members">
        {board.members.map(({ id: user, name }) => {
          const remove = () => run({ type: 'remove', board: id, user });
          return <li key={user}>{name} {mayRemove(user) && <button onClick={remove}>Remove {name}</button>}</li>;
        })}
      </ul>
      <Field label="Name of somebody" button="Invite" onEnter={(name) => run({ type: 'invite', board: id, name })} />
    </>
  );
}

/** An update says the whole of what it is about: one that the state has already does no harm. */
function apply(board: BoardState, update: Update): BoardState {
  if ('members' in update) return { ...board, members: update.members };
  const { card } = update;
  const others = board.cards.filter((other) => other.id !== card.id);
  return { ...board, cards: card.list === null ? others : [...others, card] };
}

function List({ list, title, cards, id, run }: { list: string; title: string; cards: Card[]; id: string; run: Run }) {
  const move = (card: number, list: string, place?: number) => run({ type: 'move-card', board: id, card, list, place });
  const dropBefore = (next: number) => (event: DragEvent) => {
    event.stopPropagation();
    const [above = 0, below = above + 2] = [cards[next - 1]?.place, cards[next]?.place];
    void move(Number(event.dataTransfer.getData('text/plain')), list, (above + below) / 2);
  };
  return (
    <section aria-label={title} onDragOver={(event) => event.preventDefault()} onDrop={dropBefore(cards.length)}>
      <h2>{title}</h2>
      {cards.map(({ id: card, text }, index) => {
        const drag = (event: DragEvent) => event.dataTransfer.setData('text/plain', `${card}`);
        const remove = () => run({ type: 'delete-card', board: id, card });
        return (
          <article key={card} draggable onDragStart={drag} onDrop={dropBefore(index)}>
            {text}
            <select aria-label={`List of ${text}`} value={list} onChange={({ target }) => move(card, target.value)}>
              {Object.entries(LISTS).map(([list, title]) => <option key={list} value={list}>{title}</option>)}
            </select>
            <button aria-label={`Delete ${text}`} onClick={remove}>×</button>
          </article>
        );
      })}
      <Field label="New card" button="Add" onEnter={(text) => run({ type: 'add-card', board: id, list, text })} />
    </section>
  );
}
