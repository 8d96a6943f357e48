import { avatar } from './avatar.js';
import { el, icon, part, setText } from './dom.js';
import { textWithLinks } from './text-with-links.js';
import { dayName, fullTime, sameDay, timeOfDay } from './time.js';
import { author, continues } from './timeline.js';
import { displayName, sameUser } from './user.js';

/**
 * @typedef {import('./timeline.js').Item} Item
 * @typedef {import('./user.js').User} User
 */

/** How far from its end the log still counts as read to the end, in pixels. */
const NEAR_END = 48;

/** How many entries the page shows; a log that is open for weeks must not grow without end. */
const SHOWN = 1_000;

/** The log of a room. It follows new messages while its reader is at its end, and waits otherwise. */
export class MessageList {
  #log;
  #list;
  #empty;
  #more;
  #moreLabel;
  #answer;
  #now;
  /** @type {User | null} */
  #self = null;
  /** @type {Item | null} */
  #last = null;
  /** Whether the reader is at the end. */
  #following = true;
  /** Where the reader is otherwise, in pixels from the top. */
  #position = 0;
  #unseen = 0;

  /**
   * @param {HTMLElement} root
   * @param {(user: User) => void} answer starts a private message
   * @param {() => Date} [now]
   */
  constructor(root, answer, now = () => new Date()) {
    this.#log = part(root, 'message-log');
    this.#list = part(root, 'messages');
    this.#empty = part(root, 'messages-empty');
    this.#more = part(root, 'new-messages');
    this.#moreLabel = part(root, 'new-messages-count');
    this.#answer = answer;
    this.#now = now;
    this.#log.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#more.addEventListener('click', () => {
      this.#toEnd();
      this.#log.focus({ preventScroll: true });
    });
    // The frame changes its height with the keyboard of a phone and with a growing composer;
    // and when it was out of sight, the browser has forgotten how far it was scrolled.
    new ResizeObserver(() => {
      if (this.#following) this.#toEnd();
      else this.#log.scrollTop = this.#position;
    }).observe(this.#log);
  }

  /**
   * Shows another log.
   *
   * @param {User} self
   * @param {Item[]} items
   */
  show(self, items) {
    this.#self = self;
    this.#last = null;
    this.#list.replaceChildren();
    this.#toEnd();
    this.add(items);
  }

  /**
   * Adds what belongs at the end.
   *
   * @param {Item[]} items
   */
  add(items) {
    // A whole history is not read out; what is said from now on is.
    this.#log.setAttribute('aria-busy', String(items.length > 1));
    for (const item of items) this.#append(item);
    while (this.#list.childElementCount > SHOWN) this.#list.firstElementChild?.remove();
    requestAnimationFrame(() => this.#log.setAttribute('aria-busy', 'false'));

    const spoken = items.filter((item) => item.kind !== 'notice');
    const own = spoken.some((item) => this.#isOwn(item));
    if (this.#following || own) this.#toEnd();
    else this.#announce(this.#unseen + spoken.length);
  }

  /**
   * Says that there is nothing to show, once that is known.
   *
   * @param {boolean} empty
   */
  showEmpty(empty) {
    this.#empty.hidden = !empty;
  }

  /**
   * @param {Item} item
   */
  #append(item) {
    if (!this.#last || !sameDay(this.#last.at, item.at)) {
      this.#list.append(el('li', { class: 'day', 'data-testid': 'day' }, dayName(item.at, this.#now())));
    }
    if (item.kind === 'notice') this.#list.append(el('li', { class: 'notice', 'data-testid': 'notice' }, item.text));
    else this.#list.append(this.#message(item));
    this.#last = item;
  }

  /**
   * @param {import('./timeline.js').Message | import('./timeline.js').PrivateMessage} item
   */
  #message(item) {
    const own = this.#isOwn(item);
    const user = item.kind === 'message' ? item.user : item.from;
    const head = el(
      'div',
      { class: 'message-head' },
      el('span', { class: 'message-author', title: user.email, 'data-testid': 'message-author' }, own ? 'You' : displayName(user)),
      item.kind === 'private' && privateLabel(item, own),
      el('time', { class: 'message-time', datetime: item.at.toISOString(), title: fullTime(item.at) }, timeOfDay(item.at)),
    );
    if (item.kind === 'private' && !own) head.append(this.#replyButton(item.from));
    const bubble = el('div', { class: 'bubble', title: fullTime(item.at), 'data-testid': 'message-text' });
    bubble.append(textWithLinks(item.text));
    return el(
      'li',
      {
        class: 'message',
        'data-testid': 'message',
        'data-kind': item.kind,
        'data-message-id': item.kind === 'message' && item.id,
        'data-user-id': user.id,
        'data-own': own,
        'data-continued': continues(this.#last, item),
      },
      avatar(user),
      head,
      bubble,
    );
  }

  /**
   * @param {User} user
   */
  #replyButton(user) {
    return el(
      'button',
      {
        class: 'link-button message-reply',
        type: 'button',
        'aria-label': `Reply privately to ${displayName(user)}`,
        'data-testid': 'reply-privately',
        on: { click: () => this.#answer(user) },
      },
      'Reply',
    );
  }

  /**
   * @param {Item} item
   */
  #isOwn(item) {
    const user = author(item);
    return user !== null && this.#self !== null && sameUser(user.id, this.#self.id);
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    if (clientHeight === 0) return;
    this.#position = scrollTop;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#following) this.#announce(0);
  }

  #toEnd() {
    this.#following = true;
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#announce(0);
  }

  /**
   * @param {number} unseen
   */
  #announce(unseen) {
    this.#unseen = unseen;
    this.#more.hidden = unseen === 0;
    setText(this.#moreLabel, unseen === 1 ? '1 new message' : `${unseen} new messages`);
  }
}

/**
 * @param {import('./timeline.js').PrivateMessage} message
 * @param {boolean} own
 */
function privateLabel({ to }, own) {
  const words = own ? `Private, to ${displayName(to)}` : 'Private, to you';
  return el('span', { class: 'message-private', 'data-testid': 'message-private' }, icon('lock'), words);
}
