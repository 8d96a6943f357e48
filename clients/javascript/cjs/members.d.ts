/**
 * The members of a room.
 *
 * @module
 */
import type { User } from './wire.js';
/** @import { User, UserId } from './wire.js' */
/**
 * The members of a room, each user once however many connections they have.
 */
export declare class Members {
    #private;
    /**
     * @returns {User[]} In the order in which they came.
     */
    list(): User[];
    /**
     * @returns {User[]} Once per connection, as `replace` takes them.
     */
    all(): User[];
    /**
     * @param {Iterable<User>} users Once per connection.
     */
    replace(users: Iterable<User>): void;
    /**
     * @param {User} user
     * @returns {boolean} Whether they are new.
     */
    add(user: User): boolean;
    /** Some joins or leaves may be missing: who is there has to be confirmed by `set`. */
    doubt(): void;
    /**
     * @param {User} user
     * @param {number} connections All of them, at this moment.
     */
    set(user: User, connections: number): void;
    /** Everybody who is there was confirmed. */
    settle(): void;
    /**
     * Takes one connection from a user.
     *
     * @param {User} user
     * @returns {boolean} Whether it was their last.
     */
    remove({ id }: User): boolean;
}
