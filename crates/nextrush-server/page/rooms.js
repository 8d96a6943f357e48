import { el, icon, part, setAttribute } from './dom.js';
import { RememberedRooms } from './remembered-rooms.js';
import { DEFAULT_ROOM, formatRoute, roomName } from './route.js';

/**
 * @typedef {object} RoomListActions
 * @property {(room: string) => void} join
 * @property {(room: string) => void} leave
 */

/** The list of rooms with what is unread in each, and the field to join one by its name. */
export class RoomList {
  #list;
  /** @type {HTMLInputElement} */
  #input;
  #actions;
  #rooms = new RememberedRooms();
  #current = DEFAULT_ROOM;
  /** @type {Map<string, number>} */
  #unread = new Map();

  /**
   * @param {HTMLElement} root
   * @param {RoomListActions} actions
   */
  constructor(root, actions) {
    this.#actions = actions;
    this.#list = part(root, 'room-list');
    this.#input = part(root, 'room-input');
    part(root, 'join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const room = roomName(this.#input.value);
      setAttribute(this.#input, 'aria-invalid', room === null && 'true');
      if (room === null) return this.#input.focus();
      this.#input.value = '';
      actions.join(room);
    });
    this.#input.addEventListener('input', () => setAttribute(this.#input, 'aria-invalid', null));
  }

  get names() {
    return this.#rooms.names;
  }

  /**
   * @param {string} room the one that is open
   */
  show(room) {
    this.#current = room;
    this.#rooms.add(room);
    this.#render();
  }

  /**
   * @param {string} room
   * @param {number} count
   */
  setUnread(room, count) {
    this.#unread.set(room, count);
    for (const badge of this.#list.querySelectorAll('.badge')) {
      if (/** @type {HTMLElement} */ (badge).dataset.room === room) showCount(badge, count);
    }
  }

  forgetUnread() {
    this.#unread.clear();
  }

  #render() {
    this.#list.replaceChildren(...this.#rooms.names.map((name) => this.#entry(name)));
  }

  /**
   * @param {string} name
   */
  #entry(name) {
    const current = name === this.#current;
    const badge = el('span', { class: 'badge', 'data-testid': 'room-unread', 'data-room': name });
    showCount(badge, this.#unread.get(name) ?? 0);
    const link = el(
      'a',
      {
        class: 'room-link',
        href: formatRoute({ view: 'chat', room: name }),
        title: name,
        'aria-current': current && 'page',
        'data-testid': 'room',
        'data-room': name,
      },
      el('span', { class: 'hash', 'aria-hidden': 'true' }, '#'),
      el('span', { class: 'room-link-name', dir: 'auto' }, name),
      badge,
    );
    if (current || name === DEFAULT_ROOM) return el('li', { class: 'room' }, link);
    const forget = el(
      'button',
      {
        class: 'icon-button small room-forget',
        type: 'button',
        'aria-label': `Leave the room ${name}`,
        title: 'Leave this room',
        'data-testid': 'forget-room',
        on: {
          click: () => {
            this.#rooms.forget(name);
            this.#unread.delete(name);
            this.#actions.leave(name);
            this.#render();
          },
        },
      },
      icon('close'),
    );
    return el('li', { class: 'room' }, link, forget);
  }
}

/**
 * @param {Element} badge
 * @param {number} count
 */
function showCount(badge, count) {
  badge.toggleAttribute('hidden', count === 0);
  badge.replaceChildren(count > 99 ? '99+' : String(count), el('span', { class: 'visually-hidden' }, ' new messages'));
}
