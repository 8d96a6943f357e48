// What a server does that renders the page: a client is made there, and never connects.
import { createElement as h } from 'react';
import { renderToString } from 'react-dom/server';

import { Board } from './board.js';

const page = renderToString(h(Board));
if (page !== '<p>closed:  (0)</p>') throw new Error(page);
console.log('rendered');
