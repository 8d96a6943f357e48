import { LiveClient } from '../client/index.js';
import { Confirm } from './confirm.js';
import { ConnectionStatus } from './connection-status.js';
import { DataTable } from './data-table.js';
import { el, part, setAttribute, setText } from './dom.js';
import { TILES, plots } from './figures.js';
import { HttpError, HttpErrorCode } from './http.js';
import { InspectApi } from './inspect-api.js';
import { NodeSeries } from './node-series.js';
import { SECTIONS, formatRoute } from './route.js';
import { Tail } from './tail.js';
import { fullTime } from './time.js';
import { TraceForm } from './trace-form.js';
import { age, bytes, count } from './units.js';
import { displayName } from './user.js';

/**
 * @typedef {import('./inspect-api.js').Sample} Sample
 * @typedef {import('./inspect-api.js').ConnectionRow} ConnectionRow
 * @typedef {import('./inspect-api.js').RoomRow} RoomRow
 * @typedef {import('./inspect-api.js').ChannelRow} ChannelRow
 */

/** The interval at which the tables are asked for, in milliseconds; the figures come each second by themselves. */
const REFRESH_MS = 2_000;

/** The number of connections that are shown at first; it doubles each time that somebody asks for more. */
const PAGE = 100;

/** At most so many are shown: beyond that a filter helps more. */
const MOST = 1_000;

/** The view of what the server does at this moment, for those who run it. */
export class InspectView {
  #root;
  #toasts;
  #api;
  /** The server, where it is not that of the page's own root. @type {string | undefined} */
  #server;
  #series = new NodeSeries();
  /** The node that is shown; all of them without one. @type {string | null} */
  #node = null;
  #plots;
  #status;
  #confirm;
  #tail;
  #tables;
  /** @type {LiveClient | null} */
  #client = null;
  /** @type {import('./route.js').Section} */
  #section = 'connections';
  /** @type {string | null} */
  #channel = null;
  /** The live updates of that channel, where there are several. @type {string | undefined} */
  #live;
  #limit = PAGE;
  #isPaused = false;
  /** @type {number | undefined} */
  #timer;
  /** Tells an answer that is late from the one that is waited for. */
  #asked = 0;
  /** The second under the pointer. @type {number | null} */
  #cursor = null;

  /**
   * @param {HTMLElement} root
   * @param {{ toasts: import('./toast.js').Toasts, base?: string }} context `base`: the path below which the
   *   server has the inspector
   */
  constructor(root, { toasts, base = '' }) {
    this.#root = root;
    this.#toasts = toasts;
    this.#api = new InspectApi(undefined, undefined, undefined, base);
    this.#server = base === '' ? undefined : new URL(`${base}/`, location.href).href;
    this.#status = new ConnectionStatus(root, 'inspect-');
    this.#confirm = new Confirm(root);
    this.#plots = plots((second) => this.#point(second));
    part(root, 'plots').append(...this.#plots.map(({ element }) => element));
    this.#tail = new Tail(part(root, 'panel-tail'), {
      ticket: this.#api.ticket,
      server: this.#server,
      onChannel: (channel) => {
        const live = this.#live;
        location.hash = formatRoute({ view: 'inspect', section: 'tail', channel, ...(live && { live }) });
        // The address may be the present one, where a tail had been stopped.
        this.#tail.follow(channel, live);
      },
      onRefused: () => this.#api.refused(),
      onSignedOut: () => this.#lock('The ticket has ended.'),
    });
    this.#tables = this.#makeTables();
    new TraceForm(part(root, 'panel-trace'), (of) => this.#api.trace(of));
    this.#listen();
  }

  /**
   * Tells whether the server has an inspector at all.
   *
   * @returns {Promise<boolean>}
   */
  async isThere() {
    try {
      return (await this.#api.access()) !== 'none';
    } catch {
      return false;
    }
  }

  /**
   * @param {import('./route.js').Section} section
   * @param {string | null} channel to follow
   * @param {string} [live] the name of its live updates, where there are several
   */
  show(section, channel, live) {
    const wasHidden = this.#root.hidden;
    this.#root.hidden = false;
    this.#section = section;
    this.#channel = channel;
    this.#live = live;
    for (const name of SECTIONS) {
      part(this.#root, `panel-${name}`).hidden = name !== section;
      setAttribute(part(this.#root, `section-${name}`), 'aria-current', name === section && 'page');
    }
    if (wasHidden || !this.#client) void this.#enter();
    else this.#showSection();
  }

  /** Out of sight, it asks the server for nothing. */
  hide() {
    if (this.#root.hidden) return;
    this.#root.hidden = true;
    this.#stop();
  }

  async #enter() {
    this.#showScreen('waiting');
    try {
      const access = await this.#api.access();
      if (this.#root.hidden) return;
      if (access === 'none') return this.#showScreen('none');
    } catch (error) {
      setText(part(this.#root, 'inspect-failure'), words(error));
      return this.#showScreen('failure');
    }
    if (this.#api.canEnter) this.#start();
    else this.#lock('');
  }

  /** @param {'waiting' | 'none' | 'failure' | 'key' | 'board'} screen */
  #showScreen(screen) {
    for (const name of ['waiting', 'none', 'failure', 'key', 'board']) {
      part(this.#root, `inspect-${name === 'failure' ? 'error' : name}`).hidden = name !== screen;
    }
    if (screen === 'key') part(this.#root, 'admin-key').focus();
  }

  #start() {
    this.#stop();
    this.#showScreen('board');
    // The live updates of the inspector, with a ticket instead of a user's token.
    const client = new LiveClient(this.#api.ticket, { server: this.#server, path: 'inspect', tokenIn: 'subprotocol' });
    this.#client = client;
    client.on('state', ({ state, reason }) => {
      if (reason === 'token-refused') this.#api.refused();
      if (state === 'failed' && reason === 'unauthorized') this.#lock('The ticket has ended.');
    });
    const metrics = client.subscribe('metrics');
    metrics.on('update', ({ data }) => this.#add([data]));
    // At the first time and after each reconnect: the seconds in between are remembered.
    metrics.on('state', (state) => {
      if (state === 'subscribed') void this.#load();
    });
    this.#status.follow(client);
    client.connect();
    this.#showSection();
  }

  #stop() {
    this.#client?.close();
    this.#client = null;
    this.#status.unfollow();
    this.#tail.stop();
    this.#confirm.close();
    clearTimeout(this.#timer);
    this.#asked += 1;
  }

  /** @param {string} why */
  #lock(why) {
    this.#stop();
    this.#api.leave();
    this.#series.clear();
    setText(part(this.#root, 'admin-key-error'), why);
    if (!this.#root.hidden) this.#showScreen('key');
  }

  async #load() {
    try {
      this.#add(await this.#api.metrics());
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {Sample[]} samples */
  #add(samples) {
    this.#series.add(samples);
    this.#offerNodes();
    if (!this.#isPaused) this.#draw();
  }

  /** Offers the choice of a node, where there are several. */
  #offerNodes() {
    const { nodes } = this.#series;
    const choice = /** @type {HTMLSelectElement} */ (part(this.#root, 'inspect-node'));
    // The one that is shown stays on offer, also when it sends nothing any more.
    const offered = this.#node === null || nodes.includes(this.#node) ? nodes : [...nodes, this.#node].sort();
    part(this.#root, 'inspect-nodes').hidden = offered.length < 2;
    const shown = [...choice.options].slice(1).map(({ value }) => value);
    if (shown.join() === offered.join()) return;
    choice.replaceChildren(
      el('option', { value: '' }, 'All nodes'),
      ...offered.map((name) => el('option', { value: name }, name)),
    );
    choice.value = this.#node ?? '';
  }

  #draw() {
    const series = this.#series.of(this.#node);
    const { newest } = series;
    if (!newest) return;
    for (const { id, value, isWarning } of TILES) {
      const tile = part(this.#root, `tile-${id}`);
      setText(tile, value(newest));
      tile.toggleAttribute('data-warning', isWarning?.(newest) ?? false);
    }
    for (const plot of this.#plots) {
      plot.show(series);
      plot.cursor = this.#cursor;
    }
  }

  /** @param {number | null} second */
  #point(second) {
    this.#cursor = second;
    for (const plot of this.#plots) plot.cursor = second;
  }

  #showSection() {
    clearTimeout(this.#timer);
    this.#tail.follow(this.#section === 'tail' ? this.#channel : null, this.#live);
    void this.#refresh();
  }

  /** Asks for what the open section shows, and again after a while. */
  async #refresh() {
    clearTimeout(this.#timer);
    const asked = (this.#asked += 1);
    const isCurrent = () => asked === this.#asked && this.#client !== null;
    if (!this.#isPaused && document.visibilityState === 'visible') {
      try {
        await this.#ask(isCurrent);
        if (isCurrent()) setText(part(this.#root, 'table-error'), missing(this.#api));
      } catch (error) {
        if (isCurrent()) this.#failed(error);
      }
    }
    if (isCurrent()) this.#timer = setTimeout(() => void this.#refresh(), REFRESH_MS);
  }

  /** @param {() => boolean} isCurrent */
  async #ask(isCurrent) {
    switch (this.#section) {
      case 'connections': {
        const user = this.#filter('user-filter');
        const slow = /** @type {HTMLInputElement} */ (part(this.#root, 'slow-first')).checked;
        const { connections, total } = await this.#api.connections({ node: this.#node, user, slow, limit: this.#limit });
        if (!isCurrent()) return;
        this.#tables.connections.show(connections, user ? `Nobody with the id “${user}” is connected.` : 'Nobody is connected.');
        const of = total > connections.length ? `${count(connections.length)} of ${count(total)}` : count(total);
        setText(part(this.#root, 'connections-shown'), total === 1 ? '1 connection' : `${of} connections`);
        part(this.#root, 'more-connections').hidden = connections.length >= total || this.#limit >= MOST;
        return;
      }
      case 'rooms': {
        const rooms = await this.#api.rooms(this.#node);
        if (!isCurrent()) return;
        const wanted = this.#filter('room-filter');
        const found = rooms.filter(({ room }) => room.includes(wanted));
        this.#tables.rooms.show(found, wanted ? 'No room has this in its name.' : 'Nobody is in a room.');
        setText(part(this.#root, 'rooms-shown'), found.length === 1 ? '1 room' : `${count(found.length)} rooms`);
        return;
      }
      default: {
        const channels = await this.#api.channels(this.#node);
        if (!isCurrent()) return;
        this.#tail.suggest(channels.map(({ channel }) => channel));
        const wanted = this.#filter('channel-filter');
        const found = channels.filter(({ channel }) => channel.includes(wanted));
        this.#tables.channels.show(found, wanted ? 'No channel has this in its name.' : 'Nobody listens to a channel.');
        setText(part(this.#root, 'channels-shown'), found.length === 1 ? '1 channel' : `${count(found.length)} channels`);
      }
    }
  }

  /** @param {string} testId */
  #filter(testId) {
    return /** @type {HTMLInputElement} */ (part(this.#root, testId)).value.trim();
  }

  #listen() {
    const root = this.#root;
    part(root, 'admin-key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#present();
    });
    part(root, 'inspect-again').addEventListener('click', () => void this.#enter());
    part(root, 'inspect-leave').addEventListener('click', () => this.#lock(''));
    part(root, 'inspect-pause').addEventListener('click', ({ currentTarget }) => {
      this.#isPaused = !this.#isPaused;
      /** @type {HTMLElement} */ (currentTarget).setAttribute('aria-pressed', String(this.#isPaused));
      if (this.#isPaused) return;
      this.#draw();
      void this.#refresh();
    });
    part(root, 'inspect-node').addEventListener('change', ({ currentTarget }) => {
      this.#node = /** @type {HTMLSelectElement} */ (currentTarget).value || null;
      this.#limit = PAGE;
      this.#draw();
      void this.#refresh();
    });
    part(root, 'slow-first').addEventListener('change', () => void this.#refresh());
    part(root, 'more-connections').addEventListener('click', () => {
      this.#limit = Math.min(this.#limit * 2, MOST);
      void this.#refresh();
    });
    for (const testId of ['user-filter', 'room-filter', 'channel-filter']) {
      part(root, testId).addEventListener('input', () => {
        this.#limit = PAGE;
        void this.#refresh();
      });
    }
    document.addEventListener('visibilitychange', () => {
      if (this.#client && document.visibilityState === 'visible') void this.#refresh();
    });
  }

  async #present() {
    const field = /** @type {HTMLInputElement} */ (part(this.#root, 'admin-key'));
    const error = part(this.#root, 'admin-key-error');
    if (field.value.trim() === '') return setText(error, 'Please enter the admin key.');
    const button = /** @type {HTMLButtonElement} */ (part(this.#root, 'admin-key-button'));
    button.disabled = true;
    try {
      await this.#api.enter(field.value);
      field.value = '';
      setText(error, '');
      this.#start();
    } catch (cause) {
      const denied = cause instanceof HttpError && cause.code === HttpErrorCode.Unauthorized;
      setText(error, denied ? 'This is not the admin key.' : words(cause));
      field.select();
    } finally {
      button.disabled = false;
    }
  }

  #makeTables() {
    const root = this.#root;
    /** @type {import('./data-table.js').Column<ConnectionRow>[]} */
    const columns = [
      {
        name: 'Connection',
        cell: (row) => el('code', { title: this.#nameOf(row) }, this.#nameOf(row)),
      },
      { name: 'User', cell: ({ user }) => (user ? el('span', { title: user.email, dir: 'auto' }, displayName(user)) : el('span', { class: 'none' }, 'none')) },
      { name: 'Endpoint', cell: ({ endpoint }) => el('code', { title: endpoint }, endpoint) },
      { name: 'Address', cell: ({ address }) => (address ? el('code', {}, address) : el('span', { class: 'none' }, 'unknown')) },
      {
        name: 'Connected for',
        isFigure: true,
        cell: ({ connectedAt }) => {
          if (connectedAt === null) return el('span', { class: 'none' }, 'unknown');
          const since = new Date(connectedAt);
          return el('time', { datetime: connectedAt, title: fullTime(since) }, age(Date.now() - since.getTime()));
        },
      },
      { name: 'Rooms', isFigure: true, title: 'Rooms and channels', cell: ({ rooms }) => count(rooms) },
      {
        name: 'Backlog',
        isFigure: true,
        title: 'What the network does not take',
        cell: ({ backlogBytes }) => el('span', { class: backlogBytes > 0 ? 'slow' : 'none' }, bytes(backlogBytes)),
      },
      {
        name: '',
        cell: (row) =>
          el(
            'span',
            { class: 'row-actions' },
            row.user &&
              actionButton(`all of ${displayName(row.user)}`, 'Disconnect user', 'disconnect-user', () => void this.#disconnectUser(row)),
            actionButton(`connection ${row.id}`, 'Disconnect', 'disconnect', () => void this.#disconnect(row)),
          ),
      },
    ];
    return {
      connections: new DataTable(root, { testId: 'connections', key: (/** @type {ConnectionRow} */ row) => this.#nameOf(row), columns }),
      rooms: new DataTable(root, {
        testId: 'inspected-rooms',
        key: (/** @type {RoomRow} */ { chat, room }) => placeOf(chat, room),
        columns: [
          { name: 'Room', cell: ({ chat, room }) => el('span', { dir: 'auto', title: placeOf(chat, room) }, ofPart(chat), room) },
          { name: 'Members', isFigure: true, cell: ({ members }) => count(members) },
        ],
      }),
      channels: new DataTable(root, {
        testId: 'inspected-channels',
        key: (/** @type {ChannelRow} */ { live, channel }) => placeOf(live, channel),
        columns: [
          { name: 'Channel', cell: ({ live, channel }) => el('code', { dir: 'auto', title: placeOf(live, channel) }, ofPart(live), channel) },
          { name: 'Subscribers', isFigure: true, cell: ({ subscribers }) => count(subscribers) },
          {
            name: '',
            cell: ({ live, channel }) =>
              el(
                'span',
                { class: 'row-actions' },
                el(
                  'a',
                  { class: 'link-button', href: formatRoute({ view: 'inspect', section: 'tail', channel, ...(live && { live }) }), 'data-testid': 'tail-link', 'aria-label': `Follow ${channel}` },
                  'Follow',
                ),
              ),
          },
        ],
      }),
    };
  }

  /** The name that no other connection has. @param {ConnectionRow} row */
  #nameOf({ id, node }) {
    return this.#series.nodes.length > 1 ? `${node} ${id}` : id;
  }

  /** @param {ConnectionRow} row */
  async #disconnectUser({ user }) {
    if (!user) return;
    const name = user.email || String(user.id);
    await this.#end({ userId: user.id }, `Disconnect ${name}?`, 'All connections of this user are closed. While the token is valid, the user can come back.');
  }

  /** @param {ConnectionRow} row */
  async #disconnect({ id, node, user, endpoint }) {
    const whose = user ? ` of ${user.email || user.id}` : '';
    await this.#end({ connectionId: id, node }, 'Close this connection?', `${id}${whose}, at ${endpoint}. While its token is valid, the client can come back.`);
  }

  /**
   * @param {Parameters<InspectApi['disconnect']>[0]} whom
   * @param {string} title
   * @param {string} text
   */
  async #end(whom, title, text) {
    if (!(await this.#confirm.ask({ title, text, action: 'Disconnect' }))) return;
    try {
      const ended = await this.#api.disconnect(whom);
      this.#toasts.info(ended === 0 ? 'There was no such connection any more.' : ended === 1 ? '1 connection was closed.' : `${count(ended)} connections were closed.`);
      void this.#refresh();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof HttpError && error.code === HttpErrorCode.Unauthorized) return this.#lock('The ticket has ended.');
    // What is on the screen stays: it is old, and says so.
    setText(part(this.#root, 'table-error'), words(error));
  }
}

/**
 * The name of a room or channel with that of its part of the application, where there are several.
 *
 * @param {string | undefined} part
 * @param {string} name
 */
const placeOf = (part, name) => (part === undefined ? name : `${part} / ${name}`);

/** @param {string | undefined} part */
const ofPart = (part) => part !== undefined && el('span', { class: 'none' }, `${part} / `);

/**
 * @param {string} whom
 * @param {string} label
 * @param {string} testId
 * @param {() => void} click
 */
function actionButton(whom, label, testId, click) {
  return el('button', { class: 'link-button danger', type: 'button', 'data-testid': testId, 'aria-label': `${label}: ${whom}`, on: { click } }, label);
}

/**
 * @param {InspectApi} api
 * @returns what the last answer lacks, or nothing
 */
function missing({ unanswered, areOthersUnknown }) {
  const silent = unanswered.length > 0 ? [`Without ${unanswered.join(', ')}: no answer.`] : [];
  const unknown = areOthersUnknown ? ['The other nodes are not known at the moment.'] : [];
  return [...silent, ...unknown].join(' ');
}

/** @param {unknown} error */
function words(error) {
  return error instanceof Error ? error.message : String(error);
}
