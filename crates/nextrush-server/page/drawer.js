/** A panel that is a column on wide screens and slides in from the side on narrow ones. */
export class Drawer {
  #panel;
  #opener;
  #backdrop;
  #outside;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.panel
   * @param {HTMLElement} parts.opener the button that opens it, to which the focus returns
   * @param {HTMLElement} parts.closer
   * @param {HTMLElement} parts.backdrop
   * @param {HTMLElement[]} parts.outside what cannot be reached while it is open
   */
  constructor({ panel, opener, closer, backdrop, outside }) {
    this.#panel = panel;
    this.#opener = opener;
    this.#backdrop = backdrop;
    this.#outside = outside;
    opener.addEventListener('click', () => this.open());
    closer.addEventListener('click', () => this.close());
    backdrop.addEventListener('click', () => this.close());
    // On the document, since a click on the panel's ground leaves the focus nowhere.
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
    // On a screen wide enough for a column, the opener is gone and nothing is a drawer.
    new ResizeObserver(() => {
      if (opener.offsetParent === null) this.close();
    }).observe(document.body);
  }

  get isOpen() {
    return this.#panel.hasAttribute('data-open');
  }

  open() {
    this.#toggle(true);
    this.#panel.querySelector('button')?.focus();
  }

  close() {
    if (!this.isOpen) return;
    this.#toggle(false);
    this.#opener.focus();
  }

  /**
   * @param {boolean} open
   */
  #toggle(open) {
    this.#panel.toggleAttribute('data-open', open);
    this.#opener.setAttribute('aria-expanded', String(open));
    this.#backdrop.hidden = !open;
    for (const element of this.#outside) element.inert = open;
  }
}
