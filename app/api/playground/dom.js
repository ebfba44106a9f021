// Elements by tag, attributes and children. Texts become text nodes, so nothing that a server says is taken for markup.

const SVG = "http://www.w3.org/2000/svg";
const IN_SVG = new Set(["svg", "rect", "line", "text", "path", "title"]);

export function make(tag, attributes = {}, ...children) {
  const element = IN_SVG.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);
