import { useEffect, useState } from 'react';

import { type ClientError, LiveClient, Outbox } from 'nextrush-client';
import { useClient, useConnection, useLatest } from 'nextrush-client/react';

import { Board } from './board';
import { Field } from './field';
import type { Named, Person, Run } from './wire';

const headers = { 'Content-Type': 'application/json' };

export function App() {
  const [me, setMe] = useState<Person | null>();
  const [trouble, setTrouble] = useState('');
  useEffect(() => {
    fetch('/api/session').then((response) => response.json()).then(setMe);
  }, []);
  const signIn = async (name: string) => {
    const response = await fetch('/api/session', { method: 'POST', headers, body: JSON.stringify(name) });
    const answer = await response.json();
    if (response.ok) setMe(answer);
    else setTrouble(answer.message);
    return response.ok;
  };
  if (me === undefined) return null;
  if (me !== null) return <Boards me={me} onSignedOut={() => setMe(null)} />;
  return (
    <main>
      <Field label="Your name" button="Sign in" onEnter={signIn} />
      <p role="alert">{trouble}</p>
    </main>
  );
}

// Without a token, as the browser has a cookie. The outbox keeps commands until there is a connection.
const connect = () => new LiveClient(undefined, { outbox: new Outbox() });

type Props = { me: Person; onSignedOut: () => void; make?: () => LiveClient };

export function Boards({ me, onSignedOut, make = connect }: Props) {
  const live = useClient(make);
  const { state, reason } = useConnection(live);
  const { data: boards = [] } = useLatest<Named[]>(live, `user:${me.id}`);
  const [shown, show] = useState<string>();
  const [trouble, setTrouble] = useState('');
  useEffect(() => {
    if (reason === 'unauthorized') onSignedOut();
  }, [reason]);
  const run: Run = async (command) => {
    const failure: ClientError | undefined = await live.request(command).then(() => undefined, (error) => error);
    setTrouble(failure?.message ?? '');
    return failure === undefined;
  };
  return (
    <main>
      <header>
        {boards.map(({ id, name }) => (
          <button key={id} aria-pressed={id === shown} onClick={() => show(id)}>{name}</button>
        ))}
        <Field label="New board" button="Create" onEnter={(name) => run({ type: 'create-board', name })} />
        <span role="status">{state}</span>
        <button onClick={() => fetch('/api/session', { method: 'DELETE' })}>Sign out {me.name}</button>
      </header>
      <p role="alert">{trouble}</p>
      {shown && <Board key={shown} {...{ live, id: shown, me, run }} />}
    </main>
  );
}
