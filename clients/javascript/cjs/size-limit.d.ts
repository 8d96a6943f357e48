/**
 * The size of messages.
 *
 * @module
 */
/**
 * The longest message that a server takes: told by itself, or learned when it closed the connection
 * with 1009 for a longer one.
 */
export declare class SizeLimit {
    #private;
    /** @param {string} text */
    fits(text: string): boolean;
    /** @param {string} text What goes out. */
    sent(text: string): void;
    /** The connection is over. */
    ended(): void;
    /** @param {unknown} bytes What the server says. */
    told(bytes: unknown): void;
    /** Something was too long for the server. Whatever it was, the longest message is. */
    exceeded(): void;
}
