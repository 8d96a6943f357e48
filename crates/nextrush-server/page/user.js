import { Names } from './names.js';

/**
 * The identity of a user, as the server gives it and as the page shows it.
 *
 * @typedef {{ id: string | number, email: string }} User
 */

/** The number of avatar colours in the style sheet. */
const HUES = 8;

/**
 * A key that tells users apart: ids may be strings or numbers, and `1` is not
 * `"1"`.
 *
 * @param {User['id']} id
 */
export function userKey(id) {
  return JSON.stringify(id);
}

/**
 * @param {User['id']} a
 * @param {User['id']} b
 */
export function sameUser(a, b) {
  return userKey(a) === userKey(b);
}

/** The listeners for somebody who is called by another name than before. @type {Set<() => void>} */
const listeners = new Set();

const names = new Names(() => {
  for (const listener of listeners) listener();
});

/**
 * The name to show, by which nobody is taken for somebody else that the page has shown. The address
 * stays available as a tooltip.
 *
 * @param {User} user
 */
export function displayName(user) {
  return names.of(user);
}

/**
 * Calls back when somebody that was shown is called by another name from now on.
 *
 * @param {() => void} listener
 */
export function onRename(listener) {
  listeners.add(listener);
}

/**
 * @param {User} user
 */
export function initial(user) {
  const [first = '?'] = displayName(user);
  return first.toLocaleUpperCase();
}

/**
 * A number below eight that stays the same for a user.
 *
 * @param {User} user
 */
export function hue(user) {
  // FNV-1a: short names that differ in one letter get different colours.
  let hash = 0x811c9dc5;
  for (const character of userKey(user.id)) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  }
  return (hash >>> 8) % HUES;
}
