// What the hits have in common: values with their numbers, to choose from.

import { ask } from "./api.js";
import { rangeInWords, vql } from "./query.js";
import { capitals, KINDS, ranges } from "./records.js";
import { fill, h, number, refused } from "./ui.js";

const VALUES = 8;

/**
 * Draws the facets of a query, and returns the number of its matches. A field in which something is chosen shows what else it could be.
 *
 * @param {function} changed called after a choice, which is made in `query`.
 */
export async function facets(element, kind, query, columns, signal, changed) {
  const names = KINDS[kind].facets;
  const taken = (name) => query.conditions.find((one) => one.field === name && ["in", "ranges"].includes(one.operator));
  const counted = (some, without) => {
    const body = { ...vql(query, without), limit: 1, select_columns: ["uuid"], track_total: !without, facets: some.map(asked) };
    return ask(`/${kind}`, body, signal);
  };
  try {
    const [all, ...others] = await Promise.all([
      counted(names.filter((name) => !taken(name))),
      ...names.filter(taken).map((name) => counted([name], name)),
    ]);
    if (signal.aborted) return null;
    const found = [...all.facets ?? [], ...others.flatMap((one) => one.facets)];
    const inOrder = names.map((name) => [name, found.find((one) => one.field === name || one.field === name.replace(".", "_"))]);
    const focused = document.activeElement?.dataset?.key;
    fill(element, inOrder.map(([name, one]) => one && group(name, one)));
    if (focused) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    return all.total;
  } catch (error) {
    if (!signal.aborted) fill(element, refused(error));
    return null;
  }

  function group(name, facet) {
    const chosen = new Set(taken(name)?.value ?? []);
    const entries = facet.ranges
      ? facet.ranges.map((one, i) => [i, rangeInWords(ranges(name)[i]), one.count])
      : facet.values.map((one) => [one.value, String(one.value), one.count]);
    // Chosen ones are always there, to be taken back.
    for (const value of chosen) if (!entries.some(([one]) => one === value)) entries.push([value, String(value), 0]);
    const shown = entries.filter(([value, , count]) => count > 0 || chosen.has(value));
    if (!shown.length) return null;
    return h("details", { open: true },
      h("summary", {}, columns.get(name).display_name),
      h("ul", { "aria-label": columns.get(name).display_name }, shown.map(([value, text, count]) => {
        const box = h("input", { type: "checkbox", checked: chosen.has(value), "data-key": `${name}=${value}`, onchange: () => choose(name, facet, value, box.checked) });
        const label = facet.ranges ? text : capitals(text.replaceAll("_", " "));
        return h("li", {}, h("label", { class: "tick" }, box, h("span", { class: "value" }, label), " ", h("span", { class: "number" }, number(count))));
      })));
  }

  function choose(name, facet, value, on) {
    const before = taken(name);
    const values = new Set(before?.value ?? []);
    values[on ? "add" : "delete"](value);
    query.conditions = query.conditions.filter((one) => one !== before);
    if (values.size) query.conditions.push({ field: name, operator: facet.ranges ? "ranges" : "in", value: [...values] });
    changed();
  }

  function asked(name) {
    const found = ranges(name);
    if (!found) return { field: name, size: VALUES };
    return { field: name, ranges: found.map(([from, to]) => ({ ...(from !== null && { gte: from }), ...(to !== null && { lt: to }) })) };
  }
}
