import { el, part } from './dom.js';

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} name
 * @property {(row: Row) => string | Node} cell
 * @property {boolean} [isFigure] aligned to the right, digits below digits
 * @property {string} [title]
 */

/**
 * A table of what the server says, drawn anew with each answer. The focus stays with its row.
 *
 * @template Row
 */
export class DataTable {
  #body;
  #empty;
  #columns;
  #key;

  /**
   * @param {HTMLElement} root holds a table and the words for an empty one
   * @param {{ testId: string, key: (row: Row) => string, columns: Column<Row>[] }} options
   */
  constructor(root, { testId, key, columns }) {
    const table = part(root, testId);
    this.#columns = columns;
    this.#key = key;
    this.#body = el('tbody');
    this.#empty = part(root, `${testId}-empty`);
    const heads = columns.map(({ name, isFigure, title }) =>
      el('th', { scope: 'col', class: isFigure && 'figure', title }, name || el('span', { class: 'visually-hidden' }, 'Actions')),
    );
    table.append(el('thead', {}, el('tr', {}, ...heads)), this.#body);
  }

  /**
   * @param {Row[]} rows
   * @param {string} words what is said when there are none
   */
  show(rows, words) {
    const focused = this.#body.querySelector(':focus')?.closest('tr')?.dataset.key;
    const focusedAction = document.activeElement?.getAttribute('data-testid');
    this.#body.replaceChildren(...rows.map((row) => this.#row(row)));
    this.#empty.textContent = words;
    this.#empty.hidden = rows.length > 0;
    if (focused === undefined) return;
    for (const row of this.#body.rows) {
      if (row.dataset.key !== focused) continue;
      /** @type {HTMLElement | null} */ (row.querySelector(`[data-testid="${focusedAction}"]`))?.focus();
    }
  }

  /** @param {Row} row */
  #row(row) {
    const cells = this.#columns.map(({ cell, isFigure, name }) => el('td', { class: isFigure && 'figure', 'data-column': name }, cell(row)));
    return el('tr', { 'data-key': this.#key(row) }, ...cells);
  }
}
