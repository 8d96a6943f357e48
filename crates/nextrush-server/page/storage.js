/**
 * The browser's storage, which may be full or forbidden: then the page works all
 * the same and forgets.
 *
 * @typedef {{ get: (key: string) => string | null, set: (key: string, value: string | null) => void }} KeyValue
 */

/**
 * @param {() => Storage} storage a function, since merely naming a forbidden storage throws
 * @returns {KeyValue}
 */
export function keyValue(storage) {
  return {
    get(key) {
      try {
        return storage().getItem(`nextrush.${key}`);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        if (value === null) storage().removeItem(`nextrush.${key}`);
        else storage().setItem(`nextrush.${key}`, value);
      } catch {
        // Forgetting is the fallback.
      }
    },
  };
}

/** The storage that outlives the tab: the theme, the rooms. */
export const lasting = keyValue(() => localStorage);

/** The storage of this tab alone: the token, so that two tabs can be two users. */
export const ofThisTab = keyValue(() => sessionStorage);
