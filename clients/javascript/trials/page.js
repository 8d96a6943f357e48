import { StrictMode, createElement as h } from 'react';
import { createRoot } from 'react-dom/client';

import { Board } from './board.js';

createRoot(document.body).render(h(StrictMode, null, h(Board)));
