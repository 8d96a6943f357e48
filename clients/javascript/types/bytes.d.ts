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
export declare function encoded(data: any): {
    data: any;
    encoding?: 'base64';
};
/**
 * Puts the bytes in the place of their text, if it is one.
 *
 * @param {{ [field: string]: any }} message
 */
export declare function decode(message: {
    [field: string]: any;
}): void;
