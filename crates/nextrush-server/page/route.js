/**
 * The page's addresses: `#/chat/<room>`, `#/live`, `#/live/<post>`, `#/inspect/<section>` and
 * `#/inspect/tail/<channel>`, which may end in `?live=<name>` where there are several live updates.
 *
 * @typedef {{ view: 'chat', room: string }} ChatRoute
 * @typedef {{ view: 'live', post: string | null }} LiveRoute
 * @typedef {{ view: 'inspect', section: Section, channel: string | null, live?: string }} InspectRoute
 * @typedef {ChatRoute | LiveRoute | InspectRoute} Route
 *
 * @typedef {typeof SECTIONS[number]} Section
 */

/** The room one enters without naming one. */
export const DEFAULT_ROOM = 'lobby';

/** The parts of the inspector; the first is where one comes in. */
export const SECTIONS = /** @type {const} */ (['connections', 'rooms', 'channels', 'tail', 'trace']);

/** The longest room name the server takes, in bytes of UTF-8. */
const ROOM_BYTES = 255;

/**
 * The route behind a location's hash, or `null` for one that leads nowhere.
 *
 * @param {string} hash
 * @returns {Route | null}
 */
export function parseRoute(hash) {
  const [view, ...rest] = hash.replace(/^#\/?/, '').split('/');
  const argument = decode(rest.join('/'));
  if (view === 'chat') {
    const room = roomName(argument ?? '');
    return room === null ? null : { view, room };
  }
  if (view === 'live') return { view, post: argument };
  if (view === 'inspect') {
    const section = rest.length === 0 ? SECTIONS[0] : SECTIONS.find((name) => name === rest[0]);
    if (section !== 'tail') return section === undefined ? null : { view, section, channel: null };
    const [, channel = '', live = ''] = /^(.*?)(?:\?live=([^?]*))?$/.exec(rest.slice(1).join('/')) ?? [];
    return { view, section, channel: decode(channel), ...(live !== '' && { live: decode(live) ?? '' }) };
  }
  return null;
}

/**
 * @param {Route} route
 */
export function formatRoute(route) {
  if (route.view === 'chat') return `#/chat/${encodeURIComponent(route.room)}`;
  if (route.view === 'inspect') {
    const path = `#/inspect/${route.section}`;
    if (route.channel === null) return path;
    const query = route.live ? `?live=${encodeURIComponent(route.live)}` : '';
    return `${path}/${encodeURIComponent(route.channel)}${query}`;
  }
  return route.post === null ? '#/live' : `#/live/${encodeURIComponent(route.post)}`;
}

/** Characters that names of rooms do not have, as in the server's `message/invisible.rs`. */
const INVISIBLE =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\u{34f}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{2800}\u{3164}\u{ffa0}]/u;

/** Variation selectors where nobody sees them: anywhere but behind emoji and in keycaps. */
const STRAY_SELECTOR =
  /[\u{fe00}-\u{fe0d}\u{e0100}-\u{e01ef}]|(?<![^\p{ASCII}\p{Alphabetic}\p{N}])(?<![0-9#*](?=[\u{fe0e}\u{fe0f}]\u{20e3}))[\u{fe0e}\u{fe0f}]/u;

/**
 * Turns typed text into a room's name; `null` when the server would refuse it:
 * empty, longer than 255 bytes, or with invisible characters.
 *
 * @param {string} input
 */
export function roomName(input) {
  const name = input.trim().replace(/^#\s*/, '');
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > ROOM_BYTES || INVISIBLE.test(name) || STRAY_SELECTOR.test(name)) return null;
  // A path of dots would be resolved away by the browser before it is sent.
  return /^\.{1,2}$/.test(name) ? null : name;
}

/**
 * @param {string} text
 */
function decode(text) {
  if (text === '') return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
