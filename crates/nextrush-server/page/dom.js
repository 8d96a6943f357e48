/**
 * The few helpers with which the page touches the DOM. Data reaches it as text
 * nodes and attributes only, never as markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an element. `on` holds listeners, `class` and every other key become
 * attributes (`true` an empty one; `false`, `null` and `undefined` none).
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {{ on?: Record<string, (event: any) => void>, [attribute: string]: unknown }} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, { on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  for (const [type, listener] of Object.entries(on)) element.addEventListener(type, listener);
  for (const child of children) if (child) element.append(child);
  return element;
}

/**
 * Sets an attribute, or removes it for `false`, `null` and `undefined`.
 *
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
export function setAttribute(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

/**
 * A drawing of `icons.svg`, decorative: its button carries the label.
 *
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#${name}`);
  svg.append(use);
  return svg;
}

/**
 * Takes the drawings into the page. Those of another file would be asked for again with each new
 * icon, and be missing just when there is no connection.
 */
export async function loadIcons() {
  const response = await fetch(new URL('./icons.svg', import.meta.url));
  const sprite = new DOMParser().parseFromString(await response.text(), 'image/svg+xml').documentElement;
  sprite.setAttribute('hidden', '');
  sprite.setAttribute('aria-hidden', 'true');
  document.body.append(document.adoptNode(sprite));
}

/**
 * The element that carries a test id. The test ids are the names of the page's
 * parts, for the page itself as well as for its tests.
 *
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} testId
 * @returns {T}
 */
export function part(root, testId) {
  const element = root.querySelector(`[data-testid="${testId}"]`);
  if (!element) throw new Error(`the page has no part "${testId}"`);
  return /** @type {T} */ (element);
}

/**
 * Puts `text` into an element unless it is there already, so that live regions
 * speak only when something changed.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
