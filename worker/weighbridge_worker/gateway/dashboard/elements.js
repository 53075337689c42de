// The page's elements; text goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** Write a text, only if it is another one: a screen reader's place stays. */
export function write(target, text) {
  const node = typeof target === "string" ? byId(target) : target;
  if (node.textContent !== text) node.textContent = text;
}

/** Write a text whose commands stand between backticks. */
export function writeCommands(id, text) {
  const node = byId(id);
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  node.replaceChildren(...text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part)));
}

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Keep one child an item, so that focus survives: `fill` writes an item into its child. */
export function keep(parent, items, key, create, fill) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, place) => {
    const name = String(key(item));
    let child = there.get(name);
    if (child === undefined) {
      child = create(item);
      child.dataset.key = name;
    }
    there.delete(name);
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
    fill(child, item);
  });
  for (const child of there.values()) child.remove();
}

/** Keep a list of facts: a term and its value each. */
export function facts(id, pairs) {
  const parent = byId(id);
  if (parent.children.length !== pairs.length * 2) {
    parent.replaceChildren(...pairs.flatMap(() => [make("dt"), make("dd")]));
  }
  pairs.forEach(([term, value], index) => {
    write(parent.children[index * 2], term);
    write(parent.children[index * 2 + 1], value);
  });
}

export const row = (...cells) =>
  make("tr", {}, ...cells.map(([tag, name]) =>
    tag === "th" ? make("th", { scope: "row", class: name }) : make("td", { class: name })));
