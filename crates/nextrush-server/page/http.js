/** The causes of an {@link HttpError}. */
export const HttpErrorCode = Object.freeze({
  /** The server could not be reached. */
  Unreachable: 'unreachable',
  /** The token is missing or no longer accepted (401). */
  Unauthorized: 'unauthorized',
  /** The server refused the request; the message says why. */
  Refused: 'refused',
});

/** A request that failed, with words that can be shown. */
export class HttpError extends Error {
  /**
   * @param {string} code one of {@link HttpErrorCode}
   * @param {string} message
   * @param {ErrorOptions & { refusal?: string }} [options] `refusal`: the server's own code, where it tells one
   */
  constructor(code, message, options) {
    super(message, options);
    this.name = 'HttpError';
    this.code = code;
    this.refusal = options?.refusal;
  }
}

/**
 * Sends JSON and returns the JSON that comes back.
 *
 * @param {string} method
 * @param {string} path
 * @param {{ token?: string, body?: unknown }} [options]
 * @returns {Promise<any>}
 * @throws {HttpError} for everything but a 2xx answer with JSON
 */
export async function requestJson(method, path, { token, body } = {}) {
  const headers = new Headers({ accept: 'application/json' });
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('content-type', 'application/json');
  let response;
  try {
    response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  } catch (cause) {
    throw new HttpError(HttpErrorCode.Unreachable, 'The server cannot be reached.', { cause });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  // 403 is said to somebody who is known, and may not do this.
  const code = response.status === 401 ? HttpErrorCode.Unauthorized : HttpErrorCode.Refused;
  throw new HttpError(code, reason(answer) ?? `The server answered ${response.status}.`, { refusal: answer?.code });
}

/**
 * The words of an error answer, `{ "message": … }`, as a sentence.
 *
 * @param {any} answer
 * @returns {string | null}
 */
function reason(answer) {
  const words = answer?.message;
  if (typeof words !== 'string' || words === '') return null;
  const sentence = `${words.charAt(0).toLocaleUpperCase()}${words.slice(1)}`;
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
