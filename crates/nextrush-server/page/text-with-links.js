import { el } from './dom.js';

const ADDRESS = /https?:\/\/[^\s<>"']+/g;

/** Punctuation that belongs to the sentence around an address, not to the address. */
const SENTENCE_END = /[.,;:!?)\]}…]+$/;

/**
 * A text as nodes, in which web addresses are links. Nothing in it is ever markup.
 *
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function textWithLinks(text) {
  const fragment = new DocumentFragment();
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = match[0].replace(SENTENCE_END, '');
    if (!URL.canParse(address)) continue;
    // `noreferrer`: where it was said is nobody's business.
    const link = el('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, address);
    fragment.append(text.slice(end, match.index), link);
    end = match.index + address.length;
  }
  fragment.append(text.slice(end));
  return fragment;
}
