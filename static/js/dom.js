/** Small helpers for building the page. Text enters through `textContent` only. */
import { _ } from "./i18n.js";

/** Return an element with properties, attributes (`aria-…`, `data-…`, `role`) and children. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.includes("-") || name === "role") node.setAttribute(name, value === true ? "" : String(value));
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const styles = new Map();

/** Load a style sheet, once. Resolves also where it is not to be had: without it, things are not pretty, and work. */
export function style(name) {
  const href = new URL(`../css/${name}.css`, import.meta.url).href;
  if (!styles.has(name)) styles.set(name, new Promise((done) => document.head.append(el("link", { rel: "stylesheet", href, onload: done, onerror: done }))));
  return styles.get(name);
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** One of eight colours, always the same for the same id. */
export function hueOf(id) {
  let hash = 2_166_136_261;
  for (const char of id) hash = Math.imul(hash ^ char.codePointAt(0), 16_777_619);
  return Math.imul(hash ^ (hash >>> 15), 2_246_822_519) >>> 29;
}

export function initials(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0]).join("").toUpperCase() || "?";
}

/** `picture`: what tells the person's or group's picture from the one before; where there is none to be had, the initials stay. */
export function paintAvatar(node, id, name, online = false, picture = null) {
  node.dataset.hue = hueOf(id);
  const src = picture && `/v1/${id[0] === "u" ? "users" : "conversations"}/${id}/picture?v=${picture}`;
  // The same one stays, also where it could not be had: painting is no reason to ask again.
  const held = node.querySelector("img");
  const image = held?.getAttribute("src") === src ? held : src && el("img", { src, alt: "", onerror: (event) => (event.target.hidden = true) });
  node.replaceChildren(...[initials(name), image, online && el("span", { className: "online" })].filter(Boolean));
  return node;
}

export const avatar = (id, name, online, picture) => paintAvatar(el("span", { className: "avatar", "aria-hidden": "true" }), id, name, online, picture);

/** What stands beside the name of a program's account. */
export const botMark = (one) => (one?.is_bot ? el("span", { className: "bot" }, _("Bot")) : null);

export const hidden = (text) => el("span", { className: "visually-hidden" }, text);

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;

/** Return the text as nodes, web addresses as links; `plain` makes nodes of what is between. Only http and https become links. */
export function linkify(text, plain = (part) => [part]) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    let address = match[0].replace(/[.,:;!?…]+$/u, "");
    // A closing bracket belongs to the sentence unless the address opened one.
    while (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1).replace(/[.,:;!?…]+$/u, "");
    if (!URL.canParse(address)) continue;
    nodes.push(...plain(text.slice(end, match.index)));
    nodes.push(el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address));
    end = match.index + address.length;
  }
  nodes.push(...plain(text.slice(end)));
  return nodes.filter((node) => node !== "");
}

const STATUS = {
  sending: ["clock", _("Sending")],
  sent: ["tick", _("Sent")],
  delivered: ["ticks", _("Delivered")],
  read: ["ticks", _("Read")],
  failed: ["alert", _("Not sent")],
};

export function ticks(status) {
  const [name, words] = STATUS[status];
  return el("span", { className: "ticks", "data-status": status, title: words }, icon(name), hidden(words));
}
