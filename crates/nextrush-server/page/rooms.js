import { el, icon, part, setAttribute } from './dom.js';
import { RememberedRooms } from './remembered-rooms.js';
import { DEFAULT_ROOM, formatRoute, roomName } from './route.js';

/** The list of rooms and the field to join one by its name. */
export class RoomList {
  #list;
  /** @type {HTMLInputElement} */
  #input;
  #rooms = new RememberedRooms();
  #current = DEFAULT_ROOM;

  /**
   * @param {HTMLElement} root
   * @param {(room: string) => void} join
   */
  constructor(root, join) {
    this.#list = part(root, 'room-list');
    this.#input = part(root, 'room-input');
    part(root, 'join-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const room = roomName(this.#input.value);
      setAttribute(this.#input, 'aria-invalid', room === null && 'true');
      if (room === null) return this.#input.focus();
      this.#input.value = '';
      join(room);
    });
    this.#input.addEventListener('input', () => setAttribute(this.#input, 'aria-invalid', null));
  }

  /**
   * @param {string} room the one that is open
   */
  show(room) {
    this.#current = room;
    this.#rooms.add(room);
    this.#render();
  }

  #render() {
    this.#list.replaceChildren(...this.#rooms.names.map((name) => this.#entry(name)));
  }

  /**
   * @param {string} name
   */
  #entry(name) {
    const current = name === this.#current;
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
      name,
    );
    if (current || name === DEFAULT_ROOM) return el('li', { class: 'room' }, link);
    const forget = el(
      'button',
      {
        class: 'icon-button small room-forget',
        type: 'button',
        'aria-label': `Forget the room ${name}`,
        title: 'Forget this room',
        'data-testid': 'forget-room',
        on: {
          click: () => {
            this.#rooms.forget(name);
            this.#render();
          },
        },
      },
      icon('close'),
    );
    return el('li', { class: 'room' }, link, forget);
  }
}
