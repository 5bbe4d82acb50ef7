// The list of records: one search box, what the hits have in common beside them, and pages to the end.

import { ask } from "./api.js";
import { chart } from "./charts.js";
import { askForCondition } from "./conditions.js";
import { exportDialog } from "./export.js";
import { facets } from "./facets.js";
import { complete, inWords, read, vql, write } from "./query.js";
import { columnsOf, isName, KINDS, shown } from "./records.js";
import { session } from "./session.js";
import { announce, button, busy, dialog, empty, fill, h, heading, marked, number, refused, settled, table, tick } from "./ui.js";

const ROWS = 25;
const SETTLED_MILLISECONDS = 120;

export async function searchPage(main, { kind, parameters, signal }) {
  const about = KINDS[kind];
  const query = read(parameters);
  fill(main, heading(about.title), busy());
  const columns = await columnsOf(kind);
  query.columns = query.columns?.filter((name) => columns.has(name)) ?? null;

  let asked = new AbortController();
  let total = null;
  let turns = 0;
  let place = () => {}; // says which rows are shown, of how many once that is known
  const count = h("p", { class: "count" });
  const chosen = h("ul", { class: "chips", "aria-label": "Conditions" });
  const hits = h("section", { "aria-label": "Hits", class: "hits" });
  const side = h("div");
  const narrow = h("details", { class: "facets", open: matchMedia("(min-width: 50rem)").matches }, h("summary", {}, "Narrow down"), side);
  const numbers = chart(kind, query, columns, signal);
  const box = h("input", { type: "search", id: "q", value: query.q, placeholder: about.placeholder, autocomplete: "off", spellcheck: "false" });
  const typed = settled(SETTLED_MILLISECONDS, () => {
    query.q = box.value;
    begin(true);
  });
  box.addEventListener("input", typed);

  /** From the first page; what is typed replaces its entry in the history of the browser, a choice adds one. */
  function begin(replacing = false) {
    if (signal.aborted) return;
    const address = write(kind, query);
    session.listed(kind, address);
    if (address !== location.hash) history[replacing ? "replaceState" : "pushState"](null, "", address);
    asked.abort();
    asked = new AbortController();
    total = null;
    // The rows of the former query stay until those of this one are there; its cursors are of no use any more.
    for (const one of hits.querySelectorAll(".pager button")) one.disabled = true;
    drawChosen();
    fill(count);
    countAfter(page([null]), asked.signal);
  }

  /** What is counted takes the engine longer than the rows: it is asked once they are there, and not at all for what was typed over. */
  async function countAfter(shown, current) {
    await shown;
    if (current.aborted) return;
    numbers.refresh();
    if (!query.conditions.every(complete)) return;
    const found = await facets(side, kind, query, columns, current, begin);
    if (!found || current.aborted) return;
    total = found.value;
    place();
    fill(count, `${number(found.value)} ${found.value === 1 ? about.one : kind}`);
  }

  function drawChosen() {
    const chips = query.conditions.map((condition, i) => {
      const words = inWords(columns, condition);
      const gone = () => {
        query.conditions.splice(i, 1);
        begin();
        box.focus();
      };
      return h("li", {}, words, " ", button("×", gone, { class: "plain", "aria-label": `Remove: ${words}` }));
    });
    fill(chosen, chips);
    chosen.hidden = chips.length === 0;
  }

  /** The page after the last of these cursors. */
  async function page(cursors) {
    const current = asked.signal;
    const turn = (turns += 1);
    hits.setAttribute("aria-busy", "true");
    if (!hits.hasChildNodes()) fill(hits, busy());
    const names = query.columns ?? about.shown;
    const body = {
      ...vql(query),
      limit: ROWS,
      select_columns: ["uuid", ...names],
      ...(query.q.trim() && { highlight: true }),
      ...(query.order && { sort_by: query.order.by, sort_direction: query.order.direction }),
      ...(cursors.at(-1) && { cursor: cursors.at(-1) }),
    };
    try {
      const answer = await ask(`/${kind}`, body, current);
      if (current.aborted || turn !== turns) return;
      fill(hits, hint(answer.did_you_mean), rows(names, answer.data), pager(cursors, answer));
      announce(answer.data.length ? `${answer.data.length} rows, page ${cursors.length}` : "Nothing found");
    } catch (error) {
      if (!current.aborted && turn === turns) fill(hits, refused(error, () => page(cursors)));
    } finally {
      if (!current.aborted && turn === turns) hits.removeAttribute("aria-busy");
    }
  }

  function hint(words) {
    return words && h("p", { class: "note" }, "Also found: ", h("strong", {}, words));
  }

  function rows(names, found) {
    if (!found.length) return nothing();
    const heads = names.map((name) => head(columns.get(name)));
    const lines = found.map((row) => h("tr", {}, names.map((name, i) => cell(row, name, i === 0))));
    return table(`${about.title} found`, heads, lines);
  }

  function cell(row, name, first) {
    const column = columns.get(name);
    const found = row.highlight?.[name.replace(".", "_")]?.[0];
    const text = found && typeof row[name] === "string" ? marked(found) : shown(column, row[name]);
    const kindOfText = isName(column) ? "name" : undefined;
    if (!first) return h("td", { class: kindOfText }, text);
    const title = row[name] ? text : "Without a value";
    return h("th", { scope: "row", class: kindOfText }, h("a", { href: `#/${kind}/${row.uuid}` }, plainText(title)));
  }

  function head(column) {
    const by = query.order?.by === column.name ? query.order.direction : null;
    const sorted = { asc: "ascending", desc: "descending" }[by];
    const turn = () => {
      query.order = by === "desc" ? null : { by: column.name, direction: by ? "desc" : "asc" };
      begin();
    };
    const arrow = by && h("span", { "aria-hidden": "true" }, by === "asc" ? " ▲" : " ▼");
    const label = column.order_by ? button([column.display_name, arrow], turn, { class: "plain" }) : column.display_name;
    return h("th", { scope: "col", "aria-sort": sorted }, label);
  }

  function nothing() {
    if (!query.q && !query.conditions.length) {
      return empty(`There are no ${kind} yet.`, h("p", {}, h("a", { href: "#/import" }, "Import a file"), " to begin."));
    }
    const clear = () => {
      Object.assign(query, { q: "", conditions: [] });
      box.value = "";
      begin();
      box.focus();
    };
    return empty("Nothing matches.", h("p", {}, "Try fewer words, or leave out a condition."), button("Clear the search", clear));
  }

  function pager(cursors, answer) {
    // The focus stays on the button, which is always in sight, so that Enter turns page after page.
    const step = (next) => async (event) => {
      const text = event.target.textContent;
      await page(next);
      if (hits.getBoundingClientRect().top < 0) hits.scrollIntoView();
      const same = [...hits.querySelectorAll(".pager button:enabled")].find((one) => one.textContent === text);
      (same ?? hits.querySelector("[role=region]"))?.focus({ preventScroll: true });
    };
    const from = (cursors.length - 1) * ROWS;
    const shown = h("span");
    place = () => fill(shown, `${number(from + 1)} to ${number(from + answer.data.length)}${total === null ? "" : ` of ${number(total)}`}`);
    place();
    return (
      (cursors.length > 1 || answer.next_cursor) &&
      h("nav", { "aria-label": "Pages", class: "pager" },
        button("First", step([null]), { disabled: cursors.length === 1 }),
        button("Previous", step(cursors.slice(0, -1)), { disabled: cursors.length === 1 }),
        shown,
        button("Next", step([...cursors, answer.next_cursor]), { disabled: !answer.next_cursor }))
    );
  }

  function chooseColumns() {
    const names = new Set(query.columns ?? about.shown);
    const all = [...columns.values()].map((column) =>
      h("li", {}, tick(column.display_name, names.has(column.name), (event) => {
        names[event.target.checked ? "add" : "delete"](column.name);
      })));
    const done = () => {
      query.columns = names.size ? [...columns.keys()].filter((name) => names.has(name)) : null;
      opened.close();
      begin();
    };
    const usual = () => {
      query.columns = null;
      opened.close();
      begin();
    };
    const opened = dialog("Columns", h("ul", { class: "choices" }, all),
      h("p", { class: "actions" }, button("Show these", done, { class: "main" }), button("The usual ones", usual), button("Cancel", () => opened.close())));
  }

  const add = () =>
    askForCondition(kind, columns, (condition) => {
      query.conditions.push(condition);
      begin();
    });
  fill(main,
    h("div", { class: "title" }, heading(about.title), count),
    h("form", { role: "search", class: "search", onsubmit: (event) => event.preventDefault() }, h("label", { for: "q", class: "unseen" }, "Search"), box),
    h("div", { class: "toolbar" },
      button("Add a condition", add), button("Columns", chooseColumns),
      button("Export", () => exportDialog(kind, query, query.columns ?? about.shown, total))),
    chosen,
    numbers.element,
    h("div", { class: "beside" }, narrow, hits));
  begin(true);
  signal.addEventListener("abort", () => asked.abort());
  return box;
}

/** The link to a record has no other link in it. */
function plainText(content) {
  return [content].flat().map((part) => (part instanceof HTMLAnchorElement ? part.textContent : part));
}
