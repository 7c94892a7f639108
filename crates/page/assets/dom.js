// Elements without markup in texts: whatever a tenant is called, it is text.

const SVG = 'http://www.w3.org/2000/svg';

/** An element. `on…` attributes are listeners, true and false set and leave out an attribute, and null and false children are left out. */
export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets a text only where it differs: a text that is selected, or being read, stays as it is. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces the children. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

/** Tells those who cannot see it. Called for what matters, not for each update. */
export function say(text) {
  setText(document.getElementById('said'), text);
}

/** A text to copy, with its button. */
export function copyable(text, label) {
  const code = h('code', { tabindex: '0' }, text);
  const button = h('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${label}` }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
      say(`Copied ${label}`);
    } catch {
      // Browsers offer the clipboard to pages of https and loopback alone.
      getSelection().selectAllChildren(code);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
  return h('div', { class: 'copyable' }, h('pre', {}, code), button);
}

/** A bar of a part from 0 to 1; the number beside it says the same. */
export function bar(part, kind) {
  const fillOf = s('rect', { class: `bar-fill ${kind}`, width: String(100 * Math.min(1, Math.max(0, part))), height: '6', rx: '1' });
  return s('svg', { class: 'meter', viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    s('rect', { class: 'bar-back', width: '100', height: '6', rx: '1' }), fillOf);
}

export function badge(text, kind) {
  return h('span', { class: `badge ${kind}` }, text);
}

/** What is shown instead of content: nothing there, or an error. */
export function notice(title, text, ...more) {
  return h('div', { class: 'empty' }, h('p', { class: 'empty-title' }, title), text && h('p', {}, text), more);
}
