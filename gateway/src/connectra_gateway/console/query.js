// A query as people make it, in the address bar and as VQL.

import { ranges } from "./records.js";

// Operators that take no value, and those that take several.
export const BARE = new Set(["exists", "nexists"]);
export const SEVERAL = new Set(["in", "nin"]);

/** `{q, conditions: [{field, operator, value}], order: {by, direction}, columns, charts}`, as the address bar has it. */
export function read(parameters) {
  const [by, direction] = (parameters.get("order") ?? "").split(" ");
  return {
    q: parameters.get("q") ?? "",
    conditions: conditions(parameters.get("where")),
    order: by ? { by, direction: direction === "desc" ? "desc" : "asc" } : null,
    columns: parameters.get("columns")?.split(",").filter(Boolean) ?? null,
  };
}

/** What the address bar shows for it. */
export function write(kind, query) {
  const parameters = new URLSearchParams();
  if (query.q) parameters.set("q", query.q);
  if (query.conditions.length) {
    parameters.set("where", JSON.stringify(query.conditions.map((one) => [one.field, one.operator, one.value])));
  }
  if (query.order) parameters.set("order", `${query.order.by} ${query.order.direction}`);
  if (query.columns) parameters.set("columns", query.columns.join(","));
  const text = parameters.toString();
  return `#/${kind}${text && `?${text}`}`;
}

/** The conditions as VQL; without those on a field, for counting what else it could be. */
export function vql(query, without) {
  const leaves = query.conditions.filter((one) => one.field !== without && complete(one)).map(leaf);
  return { ...(query.q.trim() && { q: query.q.trim() }), ...(leaves.length && { filters: { and: leaves } }) };
}

/** Whether a condition says all that it needs. */
export function complete({ operator, value }) {
  return BARE.has(operator) || (Array.isArray(value) ? value.length > 0 : value !== "" && value !== null && value !== undefined);
}

function leaf({ field, operator, value }) {
  // Chosen ranges of a number: one of them holds.
  if (operator === "ranges") {
    const all = value.map((i) => ranges(field)?.[i]).filter(Boolean);
    return { or: all.map(([from, to]) => ({ and: bounds(field, from, to) })) };
  }
  return BARE.has(operator) ? { field, operator } : { field, operator, value };
}

function bounds(field, from, to) {
  const found = [];
  if (from !== null) found.push({ field, operator: "gte", value: from });
  if (to !== null) found.push({ field, operator: "lt", value: to });
  return found;
}

function conditions(text) {
  try {
    return JSON.parse(text ?? "[]")
      .filter((one) => Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "string")
      .map(([field, operator, value]) => ({ field, operator, value }));
  } catch {
    return []; // an address that somebody shortened
  }
}

/** A condition in words. */
export function inWords(columns, { field, operator, value }) {
  const name = columns.get(field)?.display_name ?? field;
  if (operator === "ranges") return `${name}: ${value.map((i) => rangeInWords(ranges(field)?.[i] ?? [])).join(" or ")}`;
  const said = Array.isArray(value) ? value.join(" or ") : value;
  return `${name} ${OPERATORS[operator] ?? operator}${BARE.has(operator) ? "" : ` ${said}`}`;
}

export function rangeInWords([from, to]) {
  const short = new Intl.NumberFormat("en", { notation: "compact" });
  if (from === null) return `under ${short.format(to)}`;
  return to === null ? `${short.format(from)} and more` : `${short.format(from)} to ${short.format(to - 1)}`;
}

export const OPERATORS = {
  eq: "is", ne: "is not", in: "is", nin: "is not", contains: "contains", ncontains: "does not contain", prefix: "begins with",
  domain: "is of the domain", gt: "is more than", gte: "is at least", lt: "is less than", lte: "is at most", exists: "is there", nexists: "is not there",
};
