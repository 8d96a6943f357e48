/**
 * A store of requests in memory, which outlives the clients of a test as a database outlives pages.
 */
export function memoryStore(requests = []) {
  const stored = new Map(requests.map((request) => [request.id, request]));
  return {
    stored,
    load: async () => structuredClone([...stored.values()]),
    put: async (request) => void stored.set(request.id, structuredClone(request)),
    remove: async (id) => void stored.delete(id),
  };
}
