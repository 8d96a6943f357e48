import { avatar } from './avatar.js';
import { el, icon, part, setAttribute, setText } from './dom.js';
import { PostForm } from './post-form.js';
import { textWithLinks } from './text-with-links.js';
import { dayAndTime, fullTime } from './time.js';
import { displayName } from './user.js';

/** @typedef {import('./posts-api.js').Post} Post */

/**
 * The actions of a user on a post.
 *
 * @typedef {object} PostActions
 * @property {(post: Post, open: boolean) => void} toggle opens or closes it
 * @property {(post: Post, draft: import('./posts-api.js').Draft) => Promise<void>} save
 */

/** A post in the list, where it is opened and edited. */
export class PostCard {
  /** The list item. */
  element;
  #post;
  #actions;
  #title;
  #facts;
  #text;
  #edit;
  #open;
  #followed;
  #followedLabel;
  #isOpen = false;
  /** @type {{ form: PostForm, element: HTMLElement, version: number } | null} */
  #editing = null;

  /**
   * @param {Post} post
   * @param {PostActions} actions
   */
  constructor(post, actions) {
    this.#post = post;
    this.#actions = actions;
    this.#title = el('span', { dir: 'auto', 'data-testid': 'post-item-title' });
    this.#facts = el('p', { class: 'post-facts' });
    this.#text = el('div', { class: 'post-text', dir: 'auto', id: `post-text-${post.id}`, 'data-testid': 'post-item-body' });
    this.#followedLabel = el('span', { 'data-testid': 'post-follow-state' });
    this.#followed = el('p', { class: 'post-facts', hidden: true }, this.#followedLabel);
    this.#open = el(
      'button',
      {
        class: 'post-open',
        type: 'button',
        'aria-expanded': 'false',
        'aria-controls': this.#text.id,
        'data-testid': 'open-post',
        on: { click: () => actions.toggle(this.#post, !this.#isOpen) },
      },
      icon('chevron'),
      this.#title,
    );
    this.#edit = el(
      'button',
      { class: 'icon-button', type: 'button', 'data-testid': 'edit-post', title: 'Edit', on: { click: () => this.#beginEdit() } },
      icon('edit'),
    );
    this.element = el(
      'li',
      { class: 'post', 'data-testid': 'post', 'data-post-id': post.id },
      el('div', { class: 'post-head' }, el('h2', {}, this.#open), this.#edit),
      this.#facts,
      this.#text,
      this.#followed,
    );
    this.element.addEventListener('animationend', () => delete this.element.dataset.fresh);
    this.#render();
  }

  /**
   * Shows a newer version.
   *
   * @param {Post} post
   */
  update(post) {
    this.#post = post;
    this.#render();
    if (this.#editing && post.version > this.#editing.version) this.#warn(post);
  }

  /** Its author has another name from now on. */
  renamed() {
    this.#render();
  }

  /** Lights the card up for a moment. */
  highlight() {
    delete this.element.dataset.fresh;
    // Reading the layout between the two restarts the animation.
    void this.element.offsetWidth;
    this.element.dataset.fresh = '';
  }

  /** @param {boolean} open */
  set open(open) {
    this.#isOpen = open;
    this.element.toggleAttribute('data-open', open);
    this.#open.setAttribute('aria-expanded', String(open));
    this.#followed.hidden = !open;
  }

  /** @param {boolean} followed whether the server confirmed that it sends this post's changes */
  set followed(followed) {
    this.#followedLabel.classList.toggle('post-followed', followed);
    setText(this.#followedLabel, followed ? 'Following this post' : 'Waiting to follow this post…');
  }

  #render() {
    const { title, body, author, createdAt, updatedAt, version } = this.#post;
    const now = new Date();
    setText(this.#title, title);
    this.#edit.setAttribute('aria-label', `Edit “${title}”`);
    this.#text.replaceChildren(textWithLinks(body));
    setAttribute(this.element, 'data-version', version);
    this.#facts.replaceChildren(
      avatar(author),
      el('span', { class: 'post-author', dir: 'auto', 'data-testid': 'post-author', title: author.email }, displayName(author)),
      moment('Published', new Date(createdAt), now),
    );
    if (version > 1) {
      const changed = moment('· changed', new Date(updatedAt), now);
      changed.dataset.testid = 'post-changed';
      this.#facts.append(changed);
    }
  }

  #beginEdit() {
    if (this.#editing) return this.#editing.form.focus();
    const { id, title, body, version } = this.#post;
    const element = el(
      'form',
      { class: 'post-form', 'data-testid': 'edit-form', novalidate: true, 'aria-label': `Edit “${title}”` },
      el('p', { class: 'post-conflict', role: 'status', 'data-testid': 'edit-conflict', hidden: true }),
      el('label', { for: `edit-title-${id}` }, 'Title'),
      el('input', { id: `edit-title-${id}`, 'data-testid': 'edit-title', maxlength: 200, autocomplete: 'off' }),
      el('label', { for: `edit-body-${id}` }, 'Text'),
      el('textarea', { id: `edit-body-${id}`, 'data-testid': 'edit-body', rows: 5, maxlength: 10_000 }),
      el('p', { class: 'form-error', role: 'alert', 'data-testid': 'edit-error' }),
      el(
        'div',
        { class: 'post-form-actions' },
        el('button', { class: 'button', type: 'button', 'data-testid': 'cancel-edit', on: { click: () => this.#endEdit() } }, 'Cancel'),
        el('button', { class: 'button primary', 'data-testid': 'save-post' }, 'Save'),
      ),
    );
    element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#endEdit();
    });
    const form = new PostForm(element, 'edit', async (draft) => {
      await this.#actions.save(this.#post, draft);
      this.#endEdit();
    });
    form.draft = { title, body };
    this.#editing = { form, element, version };
    this.element.append(element);
    this.#text.hidden = true;
    form.focus();
  }

  #endEdit() {
    this.#editing?.element.remove();
    this.#editing = null;
    this.#text.hidden = false;
    this.#edit.focus();
  }

  /**
   * Somebody else changed the post that is being edited here.
   *
   * @param {Post} post
   */
  #warn({ title, body, version }) {
    if (!this.#editing) return;
    const { form, element } = this.#editing;
    const { draft } = form;
    const own = draft.title === title && draft.body === body;
    const conflict = part(element, 'edit-conflict');
    conflict.hidden = own;
    this.#editing.version = version;
    const take = () => {
      form.draft = { title, body };
      conflict.hidden = true;
      form.focus();
    };
    conflict.replaceChildren(
      'This post was changed meanwhile. Saving replaces that change. ',
      el('button', { class: 'link-button', type: 'button', 'data-testid': 'take-theirs', on: { click: take } }, 'Take the new text'),
    );
  }
}

/**
 * @param {string} verb
 * @param {Date} at
 * @param {Date} now
 */
function moment(verb, at, now) {
  return el('time', { datetime: at.toISOString(), title: fullTime(at) }, `${verb} ${dayAndTime(at, now)}`);
}
