import { SubscriptionState } from '../client/index.js';
import { ConnectionStatus } from './connection-status.js';
import { part, setText } from './dom.js';
import { HttpError, HttpErrorCode } from './http.js';
import { Change, PostBoard } from './post-board.js';
import { PostCard } from './post-card.js';
import { PostForm } from './post-form.js';
import { formatRoute } from './route.js';
import { displayName, onRename } from './user.js';

/**
 * @typedef {import('./posts-api.js').Post} Post
 * @typedef {import('./posts-api.js').PostsApi} PostsApi
 */

/** The posts, which change as they are written, in whichever window. */
export class LiveView {
  #root;
  #toasts;
  #onSignedOut;
  #status;
  #form;
  #list;
  #count;
  #empty;
  #announcement;
  #board = new PostBoard();
  /** @type {Map<string, PostCard>} */
  #cards = new Map();

  /** @type {PostsApi | null} */
  #api = null;
  /** @type {import('../client/index.js').LiveClient | null} */
  #client = null;
  /** @type {(() => void)[]} */
  #listeners = [];
  /** The id of the open post, which has a subscription of its own. @type {string | null} */
  #open = null;
  /** Before the first list has come, everything in it is old. */
  #loaded = false;
  /** True if the list is to be loaded as soon as there is a connection. */
  #stale = true;

  /**
   * @param {HTMLElement} root
   * @param {{ toasts: import('./toast.js').Toasts, onSignedOut: () => void }} context
   * `onSignedOut`: there is no token that the server accepts
   */
  constructor(root, { toasts, onSignedOut }) {
    this.#root = root;
    this.#toasts = toasts;
    this.#onSignedOut = onSignedOut;
    this.#status = new ConnectionStatus(root, 'live-');
    this.#list = part(root, 'posts');
    this.#count = part(root, 'post-count');
    this.#empty = part(root, 'posts-empty');
    this.#announcement = part(root, 'live-announcement');
    this.#form = new PostForm(part(root, 'post-form'), 'post', (draft) => this.#create(draft));
    onRename(() =>
      requestAnimationFrame(() => {
        for (const card of this.#cards.values()) card.renamed();
      }),
    );
  }

  /**
   * @param {{ live: import('../client/index.js').LiveClient, api: PostsApi }} identity
   */
  signIn({ live, api }) {
    this.#client = live;
    this.#api = api;
    this.#status.follow(live);
  }

  signOut() {
    for (const stop of this.#listeners) stop();
    this.#listeners = [];
    this.#client = null;
    this.#api = null;
    this.#open = null;
    this.#loaded = false;
    this.#stale = true;
    this.#status.unfollow();
    this.#board.clear();
    this.#cards.clear();
    this.#list.replaceChildren();
    this.#empty.hidden = true;
    setText(this.#count, '');
    setText(this.#announcement, '');
    this.#form.draft = { title: '', body: '' };
    this.hide();
  }

  /** @param {string | null} post the one to open */
  show(post) {
    this.#root.hidden = false;
    this.#subscribe();
    this.#openPost(post);
  }

  /** Out of sight; the posts stay live. */
  hide() {
    this.#root.hidden = true;
  }

  /** From the first visit on; the posts stay live when the view is out of sight. */
  #subscribe() {
    if (!this.#client || this.#listeners.length > 0) return;
    const posts = this.#client.subscribe('posts');
    // Loaded once the server sends what changes from now on, so that nothing falls between the
    // list and the updates. After a lost connection they go on where they stood, or there is a gap.
    const load = () => {
      if (this.#stale && posts.state === SubscriptionState.Subscribed) void this.#load();
    };
    this.#listeners = [
      posts.on('update', ({ data }) => this.#receive(data)),
      posts.on('gap', () => {
        this.#stale = true;
        load();
      }),
      posts.on('state', load),
      posts.on('refused', ({ message }) => this.#toasts.error(`The posts cannot be followed. ${message}`)),
    ];
    load();
  }

  async #load() {
    const api = this.#api;
    if (!api) return;
    const before = [...this.#cards.keys()];
    try {
      const posts = await api.list();
      if (api !== this.#api) return;
      // What was here before and is not in the list any more is gone; what came meanwhile is not.
      const listed = new Set(posts.map(({ id }) => String(id)));
      for (const id of before) if (!listed.has(id)) this.#remove(id);
      for (const post of posts) this.#put(post, this.#loaded);
      this.#showCount();
      this.#loaded = true;
      this.#stale = false;
    } catch (error) {
      if (api === this.#api) this.#failed(error);
    }
  }

  /** @param {import('./posts-api.js').Draft} draft */
  async #create(draft) {
    const post = await this.#asking((api) => api.create(draft));
    this.#put(post, true);
    this.#form.draft = { title: '', body: '' };
    this.#form.focus();
  }

  /**
   * @param {Post} post
   * @param {import('./posts-api.js').Draft} draft
   */
  async #save({ id }, draft) {
    this.#put(await this.#asking((api) => api.update(id, draft)), true);
  }

  /**
   * A publication, of the channel of all posts or of the open one.
   *
   * @param {{ type: string, post: Post }} data
   */
  #receive({ type, post }) {
    if (!['new-post', 'post-updated', 'updated'].includes(type)) return;
    const change = this.#put(post, true);
    // Out of sight, live regions are not spoken; and what is known already was spoken.
    if (change === Change.Known) return;
    const what = change === Change.Added ? 'New post' : 'Changed post';
    setText(this.#announcement, `${what}: ${post.title}, by ${displayName(post.author)}`);
  }

  /**
   * Puts a post on the board and shows it.
   *
   * @param {Post} post
   * @param {boolean} highlight
   */
  #put(post, highlight) {
    const change = this.#board.put(post);
    if (change === Change.Known) return change;
    const id = String(post.id);
    if (change === Change.Added) this.#dropCard(id);
    const card = this.#cards.get(id) ?? this.#newCard(post);
    card.update(post);
    if (highlight) card.highlight();
    this.#showCount();
    return change;
  }

  /** @param {string} id */
  #remove(id) {
    this.#board.remove(id);
    this.#dropCard(id);
  }

  /** @param {string} id */
  #dropCard(id) {
    this.#cards.get(id)?.element.remove();
    this.#cards.delete(id);
    if (id === this.#open) this.#client?.unsubscribe(`post-${id}`);
  }

  #showCount() {
    const { size } = this.#board;
    setText(this.#count, size === 1 ? '1 post' : `${size} posts`);
    this.#empty.hidden = size > 0;
  }

  /** @param {Post} post */
  #newCard(post) {
    const card = new PostCard(post, {
      toggle: ({ id }, open) => {
        location.hash = formatRoute({ view: 'live', post: open ? String(id) : null });
      },
      save: (changed, draft) => this.#save(changed, draft),
    });
    const id = String(post.id);
    this.#cards.set(id, card);
    const next = this.#board.posts.findIndex((other) => String(other.id) === id);
    this.#list.insertBefore(card.element, this.#list.children[next] ?? null);
    if (id === this.#open) this.#follow(id);
    return card;
  }

  /** @param {string | null} id */
  #openPost(id) {
    if (id === this.#open) return;
    if (this.#open !== null) {
      const card = this.#cards.get(this.#open);
      if (card) card.open = false;
      this.#client?.unsubscribe(`post-${this.#open}`);
    }
    this.#open = id;
    // A post that is not here yet is followed when it comes.
    if (id !== null && this.#cards.has(id)) this.#follow(id);
  }

  /** @param {string} id */
  #follow(id) {
    const card = this.#cards.get(id);
    if (!card || !this.#client) return;
    card.open = true;
    const subscription = this.#client.subscribe(`post-${id}`);
    const show = () => {
      card.followed = subscription.state === SubscriptionState.Subscribed;
    };
    subscription.on('state', show);
    subscription.on('update', ({ data }) => this.#receive(data));
    show();
  }

  /**
   * @template T
   * @param {(api: PostsApi) => Promise<T>} ask
   * @returns {Promise<T>}
   */
  async #asking(ask) {
    if (!this.#api) throw new Error('Nobody is signed in.');
    try {
      return await ask(this.#api);
    } catch (error) {
      if (error instanceof HttpError && error.code === HttpErrorCode.Unauthorized) this.#onSignedOut();
      throw error;
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof HttpError && error.code === HttpErrorCode.Unauthorized) return this.#onSignedOut();
    this.#toasts.error(`The posts could not be loaded. ${error instanceof Error ? error.message : ''}`.trim());
  }
}
