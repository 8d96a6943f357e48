/** How many servers the suites run against: `NEXTRUSH_TEST_NODES`, or one. Several share a Redis. */
export const NODES = Number(process.env.NEXTRUSH_TEST_NODES || 1);
