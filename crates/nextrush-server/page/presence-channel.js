/** The longest name of a channel that the server takes, in bytes of UTF-8. */
const CHANNEL_BYTES = 255;

/** The characters of a long room's name that are left in that of its channel. */
const KEPT = 40;

/**
 * The channel in which the members of a room say who they are. Every room has one of its own,
 * however long its name is.
 *
 * @param {string} room
 */
export function presenceChannel(room) {
  const encoded = `presence-${encodeURIComponent(room)}`;
  if (encoded.length <= CHANNEL_BYTES) return encoded;
  // Other scripts take three times as much when they are encoded. No encoded name has these signs.
  const plain = `presence-=${room}`;
  if (new TextEncoder().encode(plain).length <= CHANNEL_BYTES) return plain;
  return `presence-+${[...room].slice(0, KEPT).join('')}+${hash(room, 0x811c9dc5)}${hash(room, 0x1b873593)}`;
}

/**
 * FNV-1a, which is enough to tell the rooms of one server apart.
 *
 * @param {string} text
 * @param {number} seed
 */
function hash(text, seed) {
  let value = seed;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return value.toString(16).padStart(8, '0');
}
