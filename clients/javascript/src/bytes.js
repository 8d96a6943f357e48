/**
 * Bytes in JSON: a text in base64, with a mark beside it.
 *
 * @module
 */

/**
 * The fields of a message that carry data.
 *
 * @param {any} data Bytes, or anything that JSON can say.
 * @returns {{ data: any, encoding?: 'base64' }}
 */
export function encoded(data) {
  // Not by `instanceof`: test runners and frames have classes of their own.
  const isBuffer = {}.toString.call(data) === '[object ArrayBuffer]';
  if (!isBuffer && !ArrayBuffer.isView(data)) return { data };
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset, data.byteLength);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { data: btoa(text), encoding: 'base64' };
}

/**
 * Puts the bytes in the place of their text, if it is one.
 *
 * @param {{ [field: string]: any }} message
 */
export function decode(message) {
  if (message['encoding'] !== 'base64') return;
  try {
    const text = atob(message['data']);
    // A loop takes a tenth of the time of `Uint8Array.from`.
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
    message['data'] = bytes;
    delete message['encoding'];
  } catch {
    // No base64: it stays what it is.
  }
}
