// Numbers about all that matches, as bars.

import { ask } from "./api.js";
import { vql } from "./query.js";
import { capitals, KINDS } from "./records.js";
import { choice, fill, h, labelled, number, show } from "./ui.js";

const BARS = 15;
const PERIODS = { month: "month", year: "year" };

/** `{element, refresh}`: a part of the page that can be opened; it counts while it is open. */
export function chart(kind, query, columns, signal) {
  const possible = [...columns.values()].filter((one) => one.group_by || one.name === "created_at");
  const by = choice(possible.map((one) => [one.name, one.display_name]), KINDS[kind].facets.includes("country") ? "country" : possible[0]?.name);
  const bars = h("div");
  const element = h("details", { class: "chart" }, h("summary", {}, "Counts as a chart"), labelled("Count by", by), bars);
  const refresh = () => element.open && !signal.aborted && show(bars, draw);
  element.addEventListener("toggle", refresh);
  by.addEventListener("change", refresh);
  return { element, refresh };

  async function draw() {
    const column = columns.get(by.value);
    const answer = await ask(`/${kind}/aggregate`, { ...vql(query), group_by: [grouping(column)] }, signal);
    const { groups, other, missing, count, exact } = answer.data;
    if (!groups.length) return h("p", { class: "note" }, `None of ${number(count)} has a value there.`);
    const most = Math.max(...groups.map((one) => one.count));
    return [
      h("table", { class: "bars" },
        h("caption", {}, `${number(count)} ${kind} by ${column.display_name.toLowerCase()}`),
        h("thead", { class: "unseen" }, h("tr", {}, h("th", { scope: "col" }, column.display_name), h("th", { scope: "col" }, "Number"))),
        h("tbody", {}, groups.map((one) => h("tr", {}, h("th", { scope: "row" }, named(column, one.value)), h("td", {}, bar(one.count / most), number(one.count)))))),
      h("p", { class: "note" }, [other && `${number(other)} in others`, missing && `${number(missing)} without a value`, !exact && "some numbers are a little low"].filter(Boolean).join(", ")),
    ];
  }

  function grouping({ name: field, type }) {
    if (type === "time") return { field, calendar_interval: PERIODS.month };
    return { field, size: BARS };
  }
}

function named(column, value) {
  return column.type === "time" ? String(value).slice(0, 7) : column.type === "integer" ? number(value) : capitals(String(value).replaceAll("_", " "));
}

function bar(part) {
  const element = h("span", { class: "bar", "aria-hidden": "true" });
  element.style.width = `${Math.max(1, Math.round(part * 100))}%`;
  return h("span", { class: "track" }, element);
}
