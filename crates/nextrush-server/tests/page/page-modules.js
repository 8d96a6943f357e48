import { register } from 'node:module';

/**
 * Lets Node find the client where the page's server has it, under `/client/`. Import this
 * before a module of the page that uses the client.
 */
const client = new URL('../../../../clients/javascript/src/', import.meta.url).href;
const hooks = `
  export function resolve(specifier, context, next) {
    return next(specifier.startsWith('/client/') ? ${JSON.stringify(client)} + specifier.slice(8) : specifier, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
