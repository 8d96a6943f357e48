import { createElement as h, useState } from 'react';

import { LiveClient } from 'nextrush-client';
import { useClient, useConnection, usePresence, useSubscription } from 'nextrush-client/react';

/** A list that a channel keeps up to date, and who is there. */
export function Board({ options = {} }) {
  const live = useClient(() => new LiveClient('ada', options));
  const { state } = useConnection(live);
  const [cards, setCards] = useState([]);
  useSubscription(live, 'board', { onUpdate: ({ data }) => setCards((before) => [...before, data]) });
  const { members } = usePresence(live, 'board');
  return h('p', null, `${state}: ${cards.join(' ')} (${members.length})`);
}
