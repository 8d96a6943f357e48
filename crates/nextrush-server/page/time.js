/** Times as people read them, in the browser's own language and time zone. */

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const thisYear = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const otherYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** @param {Date} date */
export function timeOfDay(date) {
  return clock.format(date);
}

/** @param {Date} date */
export function fullTime(date) {
  return full.format(date);
}

/**
 * @param {Date} a
 * @param {Date} b
 */
export function sameDay(a, b) {
  return a.toDateString() === b.toDateString();
}

/**
 * @param {Date} date
 * @param {Date} now
 */
export function dayName(date, now) {
  if (sameDay(date, now)) return 'Today';
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (sameDay(date, yesterday)) return 'Yesterday';
  return (date.getFullYear() === now.getFullYear() ? thisYear : otherYear).format(date);
}

/**
 * The time alone for today, with its day otherwise.
 *
 * @param {Date} date
 * @param {Date} now
 */
export function dayAndTime(date, now) {
  return sameDay(date, now) ? timeOfDay(date) : `${dayName(date, now)}, ${timeOfDay(date)}`;
}
