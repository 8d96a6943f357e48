// What the program sends and takes: `schema.sql` and `board.rs`.

export type Person = { id: string; name: string; picture: string };
export type Named = { id: string; name: string };
export type Card = { id: number; list: string; place: number; text: string };
export type BoardState = { name: string; owner: string; members: Person[]; cards: Card[] };
export type Update = { card: Card | { id: number; list: null } } | { members: Person[] };
export type Command =
  | { type: 'create-board'; name: string }
  | { type: 'add-card'; board: string; list: string; text: string }
  | { type: 'move-card'; board: string; card: number; list: string; place?: number }
  | { type: 'delete-card'; board: string; card: number }
  | { type: 'invite'; board: string; name: string }
  | { type: 'remove'; board: string; user: string };
/** Has the program execute a command; says whether it did. */
export type Run = (command: Command) => Promise<boolean>;
