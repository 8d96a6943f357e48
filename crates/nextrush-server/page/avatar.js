import { el } from './dom.js';
import { hue, initial } from './user.js';

/**
 * A user's initial on the user's colour. Decorative: the name stands beside it.
 *
 * @param {import('./user.js').User} user
 */
export function avatar(user) {
  return el('span', { class: 'avatar', 'data-hue': hue(user), 'aria-hidden': 'true' }, initial(user));
}
