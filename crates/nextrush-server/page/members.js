import { avatar } from './avatar.js';
import { el, icon, setAttribute } from './dom.js';
import { dayAndTime } from './time.js';
import { displayName, sameUser } from './user.js';

/** The members of a room: one entry for each person; choosing one starts a private message. */
export class MemberList {
  #list;
  #choose;

  /**
   * @param {HTMLElement} list
   * @param {(user: import('./user.js').User) => void} choose
   */
  constructor(list, choose) {
    this.#list = list;
    this.#choose = choose;
  }

  /**
   * @param {import('./roster.js').Person[]} people
   * @param {import('./user.js').User} self
   * @param {boolean} isCurrent whether they are those who are there, and not those of a lost connection
   */
  show(people, self, isCurrent) {
    this.#list.toggleAttribute('data-stale', !isCurrent);
    setAttribute(this.#list, 'aria-label', !isCurrent && 'Members when the connection was lost');
    const focused = this.#list.querySelector('button:focus')?.closest('li')?.dataset.userId;
    this.#list.replaceChildren(...people.map((person) => this.#entry(person, self)));
    // Somebody who walks the list by keyboard keeps the place when another one comes in.
    for (const entry of this.#list.children) {
      if (entry instanceof HTMLElement && entry.dataset.userId === focused) entry.querySelector('button')?.focus();
    }
  }

  /**
   * @param {import('./roster.js').Person} person
   * @param {import('./user.js').User} self
   */
  #entry({ user, devices, known }, self) {
    const own = sameUser(user.id, self.id);
    const name = displayName(user);
    const content = [
      avatar(user),
      el(
        'span',
        { class: 'member-who' },
        el('span', { class: 'member-name', dir: 'auto' }, name, own && el('span', { class: 'member-you' }, ' (you)')),
        devices > 1 && el('span', { class: 'member-devices', 'data-testid': 'member-devices' }, `${devices} devices`),
        ...known.map(deviceLine),
      ),
      !own && icon('lock'),
    ];
    const entry = own
      ? el('div', { class: 'member-button', title: user.email }, ...content)
      : el(
          'button',
          {
            class: 'member-button',
            type: 'button',
            title: `Private message to ${user.email}`,
            on: { click: () => this.#choose(user) },
          },
          ...content,
        );
    const attributes = { 'data-testid': 'member', 'data-user-id': user.id, 'data-own': own, 'data-devices': devices };
    return el('li', { class: 'member', ...attributes }, entry);
  }
}

/** @param {import('./roster.js').KnownDevice} device */
function deviceLine({ name, since }) {
  const title = `${name}, here since ${dayAndTime(since, new Date())}`;
  return el('span', { class: 'member-device', title, 'data-testid': 'member-device' }, name);
}
