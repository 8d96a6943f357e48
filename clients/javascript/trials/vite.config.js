export default {
  // Of a link, Vite would otherwise take the React beside it.
  resolve: { dedupe: ['react', 'react-dom'] },
  ssr: { noExternal: true },
  test: { environment: 'happy-dom', include: ['*.vitest.js'] },
};
