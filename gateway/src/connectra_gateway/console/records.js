// What the two kinds of records are, and how their values look.

import { call } from "./api.js";
import { h, number, outside, time } from "./ui.js";

export const KINDS = {
  contacts: {
    one: "contact",
    title: "Contacts",
    placeholder: "Name, title, company, e-mail, city or phone",
    shown: ["first_name", "last_name", "title", "company.name", "email", "city", "country"],
    facets: ["title", "seniority", "departments", "company.name", "company.industries", "country", "city", "company.employees_count"],
    name: (row) => [row.first_name, row.last_name].filter(Boolean).map(capitals).join(" ") || row.email || "Without a name",
  },
  companies: {
    one: "company",
    title: "Companies",
    placeholder: "Name, domain or city",
    shown: ["name", "normalized_domain", "industries", "employees_count", "city", "country"],
    facets: ["industries", "country", "city", "technologies", "employees_count", "annual_revenue"],
    name: (row) => row.name || row.normalized_domain || "Without a name",
  },
};

export const RANGES = {
  employees_count: [[null, 11], [11, 51], [51, 201], [201, 1001], [1001, 10001], [10001, null]],
  annual_revenue: [[null, 1e6], [1e6, 1e7], [1e7, 1e8], [1e8, 1e9], [1e9, null]],
};

/** The ranges of a column by which it is counted, for numbers that have some. */
export function ranges(column) {
  return RANGES[column.replace("company.", "")];
}

const known = {};

/** The columns of a kind by name, in order. */
export async function columnsOf(kind) {
  known[kind] ??= call("GET", `/${kind}/columns`).then((answer) => new Map(answer.data.map((one) => [one.name, one])));
  try {
    return await known[kind];
  } catch (error) {
    delete known[kind];
    throw error;
  }
}

/** Whether a column has names of people or places, which are stored in lower case. */
export function isName(column) {
  return /(^|[.])((first|last)_name|city|state|country)$/.test(column.name);
}

export function capitals(text) {
  return text.replace(/(^|[\s'’-])(\p{Ll})/gu, (_, before, letter) => before + letter.toUpperCase());
}

/** A value as a text for people. */
export function asText(column, value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(", ");
  if (column?.type === "time") return time(value);
  if (column?.type === "integer" && column.name !== "id") return number(value);
  return String(value);
}

/** A value as it is shown: web addresses and e-mail as links. */
export function shown(column, value) {
  const text = asText(column, value);
  if (!text) return h("span", { class: "none" }, "–");
  if (/(_url|website)$/.test(column.name)) return outside(text);
  if (column.name === "email" && /^[^\s@]+@[^\s@]+$/.test(text)) return h("a", { href: `mailto:${encodeURIComponent(text)}` }, text);
  if (isName(column)) return capitals(text);
  return text;
}
