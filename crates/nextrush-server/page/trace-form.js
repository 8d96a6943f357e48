import { DataTable } from './data-table.js';
import { el, part, setText } from './dom.js';
import { fullTime } from './time.js';
import { count } from './units.js';

/**
 * @typedef {import('./inspect-api.js').SocketTrace} SocketTrace
 * @typedef {import('./inspect-api.js').Trace} Trace
 */

/** The words for the state of a publication in the history. @type {Record<string, string>} */
const PUBLISHED = {
  kept: 'Published',
  deleted: 'Published, and deleted since',
  forgotten: 'Not in the history, or not any more',
  'not-yet': 'Not published yet',
  'other-epoch': 'Of another epoch than the present one',
};

/** A verdict with which the socket has it, or may have. */
const HAS_IT = new Set(['sent', 'seen', 'healed']);

/** The question why a user did not get a message, and its answer. */
export class TraceForm {
  #root;
  #ask;
  #table;
  /** Tells an answer that is late from the one that is waited for. */
  #asked = 0;

  /**
   * @param {HTMLElement} root
   * @param {(of: { room: boolean, name: string, position: string, user: string }) => Promise<Trace>} ask
   */
  constructor(root, ask) {
    this.#root = root;
    this.#ask = ask;
    this.#table = new DataTable(root, {
      testId: 'traced',
      key: (/** @type {SocketTrace} */ { node, socket }) => `${node} ${socket}`,
      columns: [
        { name: 'User', cell: ({ user }) => (user === undefined ? el('span', { class: 'none' }, 'none') : el('span', { dir: 'auto' }, String(user))) },
        { name: 'Connection', cell: ({ node, socket }) => el('code', { title: `${node} ${socket}` }, `${node} ${socket}`) },
        { name: 'Verdict', cell: ({ verdict, text }) => el('span', { class: !HAS_IT.has(verdict) && 'slow', title: text }, text) },
        {
          name: 'Closed',
          cell: ({ closed }) => {
            if (!closed) return el('span', { class: 'none' }, 'no');
            const words = `${closed.code}${closed.reason && `: ${closed.reason}`}`;
            return el('time', { datetime: closed.at, title: fullTime(new Date(closed.at)) }, words);
          },
        },
      ],
    });
    part(root, 'trace-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /** @param {string} testId */
  #value(testId) {
    return /** @type {HTMLInputElement} */ (part(this.#root, testId)).value.trim();
  }

  async #submit() {
    const asked = (this.#asked += 1);
    const of = {
      room: /** @type {HTMLInputElement} */ (part(this.#root, 'trace-room')).checked,
      name: this.#value('trace-name'),
      position: this.#value('trace-position'),
      user: this.#value('trace-user'),
    };
    const state = part(this.#root, 'trace-state');
    if (of.name === '' || of.position === '') return setText(state, 'A channel and a position are needed.');
    setText(state, 'Asking all nodes…');
    try {
      const trace = await this.#ask(of);
      if (asked !== this.#asked) return;
      setText(state, summary(trace));
      this.#table.show(trace.sockets, of.user ? 'Never connected, as far as the records reach back.' : 'No socket is known that was there.');
    } catch (error) {
      if (asked === this.#asked) setText(state, error instanceof Error ? error.message : String(error));
    }
  }
}

/**
 * @param {Trace} trace
 */
export function summary({ published, publishedAt, counts, unanswered = [], othersUnknown = false }) {
  const at = publishedAt ? ` at ${publishedAt}` : '';
  const verdicts = Object.entries(counts).map(([verdict, sockets]) => `${verdict}: ${count(sockets)}`);
  const silent = unanswered.length > 0 ? [`without ${unanswered.join(', ')}`] : [];
  const unknown = othersUnknown ? ['the other nodes are not known'] : [];
  return [`${PUBLISHED[published] ?? published}${at}`, ...verdicts, ...silent, ...unknown].join(' · ');
}
