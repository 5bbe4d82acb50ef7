// Elements and the states that every page has. Text only ever becomes text: there is no innerHTML here, and the page's policy refuses it.

/**
 * An element. `on…` of the attributes are listeners, true and false set or leave out an attribute; children are nodes, texts, or nothing.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) element.append(child);
  }
}

/** Replaces what is in an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Tells screen readers, without moving anybody's focus. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** The heading of a page; it gets the focus when the page is shown. */
export function heading(text) {
  document.title = `${text} · Connectra`;
  return h("h1", { tabindex: "-1" }, text);
}

export function button(text, onclick, more = {}) {
  return h("button", { type: "button", onclick, ...more }, text);
}

let fields = 0;

/** A label with its control below it. */
export function labelled(text, control, note) {
  const id = (control.id ||= `field-${++fields}`);
  const described = note && `${id}-note`;
  if (described) control.setAttribute("aria-describedby", described);
  return h("div", { class: "field" }, h("label", { for: id }, text), control, note && h("p", { id: described, class: "note" }, note));
}

/** A choice; options are texts or [value, text]. */
export function choice(options, chosen, attributes = {}) {
  const select = h("select", attributes);
  for (const option of options) {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    select.append(h("option", { value, selected: value === chosen }, text));
  }
  return select;
}

export function tick(text, checked, onchange, more = {}) {
  const box = h("input", { type: "checkbox", checked, onchange, ...more });
  return h("label", { class: "tick" }, box, " ", text);
}

export function busy(text = "Loading …") {
  return h("p", { class: "state busy", role: "status" }, text);
}

export function empty(title, ...more) {
  return h("div", { class: "state" }, h("p", {}, h("strong", {}, title)), more);
}

/** What a refusal means and what to do; `again` tries once more. */
export function refused(error, again) {
  if (error.name === "AbortError") return "";
  const { title, advice, fields = [] } = error.inWords?.() ?? { title: "Something went wrong in the page", advice: String(error) };
  return h(
    "div", { class: "state wrong", role: "alert" },
    h("p", {}, h("strong", {}, title)),
    advice && h("p", {}, advice),
    fields.length > 0 && h("ul", {}, fields.map((one) => h("li", {}, one))),
    again && button("Try again", again),
  );
}

/** Shows what `load` makes of an element; loading and refusals are drawn, and what came too late is not. */
export async function show(element, load, waiting = busy()) {
  const turn = (element.turn = (element.turn ?? 0) + 1);
  fill(element, waiting);
  try {
    const content = await load();
    if (element.turn === turn) fill(element, content);
  } catch (error) {
    if (element.turn === turn) fill(element, refused(error, () => show(element, load, waiting)));
  }
}

/** A dialog of the browser, which keeps the focus in it and gives it back. Closed by Escape. */
export function dialog(title, ...children) {
  const id = `dialog-${++fields}`;
  const element = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), children);
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
  return element;
}

/** A table that scrolls by itself when it is wider than the page. */
export function table(caption, heads, rows) {
  return h(
    "div", { class: "wide", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, heads.map((head) => (head instanceof Node ? head : h("th", { scope: "col" }, head))))),
      h("tbody", {}, rows.map((row) => (row instanceof Node ? row : h("tr", {}, row.map((cell) => h("td", {}, cell))))))),
  );
}

/** A link to another site. Data may hold any address: one that is not of the web is shown as text. */
export function outside(url, text = url) {
  return /^https?:\/\//i.test(url) ? h("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, text) : text;
}

export function number(value) {
  return Number(value).toLocaleString("en");
}

export function time(value) {
  return value ? new Date(value).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "";
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  const steps = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  return `${(bytes / 1024 ** steps).toFixed(1)} ${["KiB", "MiB", "GiB", "TiB"][steps - 1]}`;
}

/** A text in which the API has marked what matched: HTML with <em> and entities, and nothing else. */
export function marked(html) {
  return html.split(/<em>(.*?)<\/em>/s).map((part, i) => (i % 2 ? h("mark", {}, plain(part)) : plain(part)));
}

function plain(html) {
  const entities = { amp: "&", lt: "<", gt: ">", quot: '"' };
  return html.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) =>
    name ? (entities[name] ?? whole) : String.fromCodePoint(hex ? parseInt(hex, 16) : Number(decimal)));
}

/** Calls once nothing more has been called for so many milliseconds. */
export function settled(milliseconds, run) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(run, milliseconds, ...given);
  };
}
