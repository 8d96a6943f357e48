/** People for the tests. */
export const ada = Object.freeze({ id: 'ada', email: 'ada@example.com' });
export const grace = Object.freeze({ id: 7, email: 'grace@example.com' });
