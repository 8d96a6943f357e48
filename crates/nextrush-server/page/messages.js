import { avatar } from './avatar.js';
import { el, icon, part, setText } from './dom.js';
import { textWithLinks } from './text-with-links.js';
import { dayName, fullTime, sameDay, timeOfDay } from './time.js';
import { author, continues } from './timeline.js';
import { displayName, sameUser } from './user.js';

/**
 * @typedef {import('./timeline.js').Item} Item
 * @typedef {import('./unsent.js').Draft} Draft
 * @typedef {import('./user.js').User} User
 *
 * What somebody does with messages.
 * @typedef {object} MessageActions
 * @property {(user: User) => void} answer starts a private message
 * @property {(draft: Draft) => void} retry
 * @property {(draft: Draft) => void} discard
 * @property {() => void} lookBack wants older messages
 * @property {() => void} seen the reader is at the end
 */

/** The distance from its end at which the log still counts as read to the end, in pixels. */
const NEAR_END = 48;

/** The distance from the log's begin at which older messages are fetched, in pixels. */
const NEAR_BEGIN = 160;

/** The most entries that the page shows; a log that is open for weeks must not grow without end. */
const SHOWN = 1_000;

/** The log of a room. It follows new messages while its reader is at its end, and waits otherwise. */
export class MessageList {
  #log;
  #list;
  #drafts;
  #empty;
  #older;
  #begin;
  #more;
  #moreLabel;
  #actions;
  #now;
  /** @type {User | null} */
  #self = null;
  /** @type {Item | null} */
  #last = null;
  /** True while the reader is at the end. */
  #following = true;
  /** The scroll position of a reader who is not at the end, in pixels from the top. */
  #position = 0;
  #unseen = 0;
  /** The message before which it says that what follows is new. @type {number | null} */
  #firstUnread = null;

  /**
   * @param {HTMLElement} root
   * @param {MessageActions} actions
   * @param {() => Date} [now]
   */
  constructor(root, actions, now = () => new Date()) {
    this.#log = part(root, 'message-log');
    this.#list = part(root, 'messages');
    this.#drafts = part(root, 'drafts');
    this.#empty = part(root, 'messages-empty');
    this.#older = part(root, 'load-older');
    this.#begin = part(root, 'history-begin');
    this.#more = part(root, 'new-messages');
    this.#moreLabel = part(root, 'new-messages-count');
    this.#actions = actions;
    this.#now = now;
    this.#log.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#older.addEventListener('click', () => actions.lookBack());
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
    // What stands above or below the messages comes and goes, too.
    const content = new ResizeObserver(() => {
      if (this.#following) this.#toEnd();
    });
    for (const element of this.#log.children) content.observe(element);
  }

  /** True while the end of the log is in sight, if the log itself is. */
  get isAtEnd() {
    return this.#following;
  }

  /**
   * Shows another log.
   *
   * @param {User} self
   * @param {Item[]} items
   * @param {number | null} firstUnread the id of the first message that is new to the reader
   */
  show(self, items, firstUnread) {
    this.#self = self;
    this.#firstUnread = firstUnread;
    this.#rebuild(items);
    this.#toEnd();
  }

  /**
   * Adds what belongs at the end.
   *
   * @param {Item[]} items
   * @param {number | null} [firstUnread] where the reader looks elsewhere
   */
  add(items, firstUnread = null) {
    if (firstUnread !== null && firstUnread !== this.#firstUnread) {
      this.#list.querySelector('.unread-mark')?.remove();
      this.#firstUnread = firstUnread;
    }
    // A whole history is not read out; what is said from now on is.
    this.#log.setAttribute('aria-busy', String(items.length > 1));
    for (const item of items) this.#append(item);
    while (this.#list.childElementCount > SHOWN) this.#list.firstElementChild?.remove();
    requestAnimationFrame(() => this.#log.setAttribute('aria-busy', 'false'));

    const spoken = items.filter((item) => item.kind === 'message' || item.kind === 'private');
    const own = spoken.some((item) => this.#isOwn(item));
    if (this.#following || own) this.#toEnd();
    else this.#announce(this.#unseen + spoken.length);
  }

  /**
   * Older messages came: shows the log anew, with what the reader sees in its place.
   *
   * @param {Item[]} items
   */
  grow(items) {
    const { scrollHeight, scrollTop } = this.#log;
    this.#log.setAttribute('aria-busy', 'true');
    this.#rebuild(items);
    this.#log.scrollTop = this.#log.scrollHeight - scrollHeight + scrollTop;
    requestAnimationFrame(() => this.#log.setAttribute('aria-busy', 'false'));
  }

  /**
   * Shows what this user wrote and the room does not have yet.
   *
   * @param {Draft[]} drafts
   * @param {boolean} connected
   */
  showDrafts(drafts, connected) {
    const grows = drafts.length > this.#drafts.childElementCount;
    const focused = document.activeElement?.closest('[data-draft]')?.getAttribute('data-draft');
    this.#drafts.replaceChildren(...drafts.map((draft) => this.#draft(draft, connected)));
    this.#drafts.hidden = drafts.length === 0;
    if (focused) /** @type {HTMLElement | null} */ (this.#drafts.querySelector(`[data-draft="${focused}"] button`))?.focus();
    if (grows || this.#following) this.#toEnd();
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
   * Sets what is above the log: the button for older messages, the note of its begin, or nothing.
   *
   * @param {'none' | 'more' | 'loading' | 'begin'} state
   */
  showOlder(state) {
    this.#older.hidden = state !== 'more' && state !== 'loading';
    this.#older.setAttribute('aria-disabled', String(state === 'loading'));
    setText(this.#older, state === 'loading' ? 'Loading…' : 'Earlier messages');
    this.#begin.hidden = state !== 'begin';
  }

  /** @param {Item[]} items */
  #rebuild(items) {
    this.#last = null;
    this.#list.replaceChildren();
    for (const item of items.slice(-SHOWN)) this.#append(item);
  }

  /**
   * @param {Item} item
   */
  #append(item) {
    if (!this.#last || !sameDay(this.#last.at, item.at)) {
      this.#list.append(el('li', { class: 'day', 'data-testid': 'day' }, dayName(item.at, this.#now())));
    }
    if (item.kind === 'message' && item.id === this.#firstUnread) {
      this.#list.append(el('li', { class: 'unread-mark', 'data-testid': 'unread-mark' }, 'New'));
      this.#last = null;
    }
    if (item.kind === 'notice') this.#list.append(el('li', { class: 'notice', 'data-testid': 'notice', dir: 'auto' }, item.text));
    else if (item.kind === 'gap') this.#list.append(el('li', { class: 'gap', 'data-testid': 'gap' }, icon('gap'), item.text));
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
      el('span', { class: 'message-author', dir: 'auto', title: user.email, 'data-testid': 'message-author' }, own ? 'You' : displayName(user)),
      item.kind === 'private' && privateLabel(item.to, own),
      el('time', { class: 'message-time', datetime: item.at.toISOString(), title: fullTime(item.at) }, timeOfDay(item.at)),
      own && el('span', { class: 'message-sent', role: 'img', 'aria-label': 'Sent', title: 'The server has it' }, icon('check')),
    );
    if (item.kind === 'private' && !own) head.append(this.#replyButton(item.from));
    return el(
      'li',
      {
        class: 'message',
        'data-testid': 'message',
        'data-kind': item.kind,
        'data-message-id': item.kind === 'message' && item.id,
        'data-user-id': user.id,
        'data-own': own,
        'data-state': own && 'sent',
        'data-continued': continues(this.#last, item),
      },
      avatar(user),
      head,
      bubble(item.text, fullTime(item.at)),
    );
  }

  /**
   * @param {Draft} draft
   * @param {boolean} connected
   */
  #draft(draft, connected) {
    const { text, to, at, fate, why } = draft;
    const state = fate === 'open' ? (connected ? 'sending' : 'waiting') : fate;
    const words = { sending: 'Sending…', waiting: 'Waits for the connection', sent: 'Sent', failed: why }[state];
    const actions = fate === 'failed' && [
      draftButton('Retry', 'retry-message', () => this.#actions.retry(draft)),
      draftButton('Discard', 'discard-message', () => this.#actions.discard(draft)),
    ];
    return el(
      'li',
      {
        class: 'message',
        'data-testid': 'message',
        'data-kind': to ? 'private' : 'message',
        'data-own': true,
        'data-state': state,
        'data-draft': draft.key,
      },
      el('div', { class: 'message-head' }, el('span', { class: 'message-author' }, 'You'), to && privateLabel(to, true)),
      bubble(text, fullTime(at)),
      el(
        'p',
        { class: 'message-state', 'data-testid': 'message-state' },
        icon(fate === 'failed' ? 'alert' : 'clock'),
        el('span', {}, words),
        ...(actions || []),
      ),
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
        on: { click: () => this.#actions.answer(user) },
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
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    // Only who goes back leaves the end: where the frame shrank or the log grew, the end has moved.
    if (isAtEnd) this.#following = true;
    else if (scrollTop < this.#position) this.#following = false;
    this.#position = scrollTop;
    if (this.#following) this.#announce(0);
    if (this.#following) this.#actions.seen();
    if (scrollTop < NEAR_BEGIN && scrollHeight > clientHeight && !this.#older.hidden) this.#actions.lookBack();
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
 * @param {string} text
 * @param {string} title
 */
function bubble(text, title) {
  const element = el('div', { class: 'bubble', dir: 'auto', title, 'data-testid': 'message-text' });
  element.append(textWithLinks(text));
  return element;
}

/**
 * @param {User} to
 * @param {boolean} own
 */
function privateLabel(to, own) {
  const words = own ? `Private, to ${displayName(to)}` : 'Private, to you';
  return el('span', { class: 'message-private', 'data-testid': 'message-private' }, icon('lock'), words);
}

/**
 * @param {string} label
 * @param {string} testId
 * @param {() => void} click
 */
function draftButton(label, testId, click) {
  return el('button', { class: 'link-button', type: 'button', 'data-testid': testId, on: { click } }, label);
}
