import react from '@vitejs/plugin-react';

const server = 'http://localhost:3000';

export default {
  plugins: [react()],
  // While developing, `npm run dev` has the page and the program has the rest.
  server: { proxy: { '/api': server, '/live': { target: server, ws: true } } },
  test: { environment: 'happy-dom', include: ['src/*.test.tsx'] },
};
