// The builder of conditions: a field, an operator and values, which are offered while they are typed.

import { ask, call } from "./api.js";
import { BARE, OPERATORS, SEVERAL } from "./query.js";
import { button, choice, dialog, fill, h, labelled, settled } from "./ui.js";

const OFFERED = 12;

/** Asks for a condition in a dialog and hands it over. */
export async function askForCondition(kind, columns, add) {
  const filters = await call("GET", `/${kind}/filters`).then((answer) => answer.data, () => []);
  const offered = filters.filter((one) => columns.get(one.key)?.operators.length);
  const rest = [...columns.values()].filter((one) => one.operators.length && !offered.some((filter) => filter.key === one.name));
  const options = (some) => some.map(([value, text]) => h("option", { value }, text));
  const fields = h("select", {},
    h("optgroup", { label: "Filters" }, options(offered.map((one) => [one.key, one.display_name]))),
    h("optgroup", { label: "All other fields" }, options(rest.map((one) => [one.name, one.display_name]))));
  const details = h("div");
  let condition;

  function chosenField() {
    const column = columns.get(fields.value);
    // Each once by its words: "is" of several values is `in`.
    const possible = column.operators.filter((one) => one !== "eq" && one !== "ne");
    const usual = column.type === "integer" || column.type === "time" ? "gte" : possible.includes("contains") && column.type === "text" && !column.group_by ? "contains" : "in";
    const operators = choice(possible.map((one) => [one, OPERATORS[one]]), possible.includes(usual) ? usual : possible[0]);
    const value = h("div");
    const chosenOperator = () => {
      condition = { field: column.name, operator: operators.value, value: SEVERAL.has(operators.value) ? [] : "" };
      fill(value, BARE.has(operators.value) ? [] : values(column, condition));
    };
    operators.addEventListener("change", chosenOperator);
    fill(details, labelled("How", operators), value);
    chosenOperator();
  }

  function values(column, current) {
    const list = h("datalist", { id: "offered" });
    const input = h("input", { type: { integer: "number", time: "date" }[column.type] ?? "text", list: "offered", autocomplete: "off" });
    const chosen = h("ul", { class: "chips", "aria-label": "Chosen values" });
    const typed = () => (column.type === "integer" ? Number(input.value) : input.value.trim());
    const keep = () => {
      if (input.value.trim() === "") return;
      if (!SEVERAL.has(current.operator)) current.value = typed();
      else if (!current.value.includes(typed())) {
        current.value.push(typed());
        input.value = "";
        fill(chosen, current.value.map((one) => h("li", {}, String(one))));
      }
    };
    const offer = settled(150, async () => fill(list, (await valuesOf(column, input.value.trim())).map((value) => h("option", { value }))));
    input.addEventListener("input", (event) => {
      // A value that was picked from the list arrives as a whole.
      if (event.inputType === "insertReplacementText" && SEVERAL.has(current.operator)) keep();
      else offer();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !SEVERAL.has(current.operator) || !input.value.trim()) return;
      event.preventDefault();
      keep();
    });
    if (column.type !== "integer" && column.type !== "time") offer();
    details.finish = keep;
    const several = SEVERAL.has(current.operator);
    return [labelled("Value", input, several ? "Enter takes a value; there may be several." : undefined), list, several && chosen, several && button("Take this value", keep)];
  }

  async function valuesOf(column, text) {
    try {
      if (filters.some((one) => one.key === column.name && column.name !== "uuid")) {
        const answer = await ask(`/${kind}/filters/data`, { filter_key: column.name, search_text: text, limit: OFFERED });
        return answer.data.map((one) => one.display_value);
      }
      if (!text || !column.group_by || column.type === "integer") return [];
      return (await ask(`/${kind}/suggest`, { text, fields: [column.name], limit: OFFERED })).data.map((one) => one.value);
    } catch {
      return []; // it is only an offer
    }
  }

  fields.addEventListener("change", chosenField);
  const submit = (event) => {
    event.preventDefault();
    if (!BARE.has(condition.operator)) details.finish();
    if (!BARE.has(condition.operator) && (Array.isArray(condition.value) ? !condition.value.length : condition.value === "")) {
      details.querySelector("input").focus();
      return;
    }
    opened.close();
    add(condition);
  };
  const opened = dialog("Add a condition",
    h("form", { onsubmit: submit },
      labelled("Field", fields), details,
      h("p", { class: "actions" }, h("button", { type: "submit", class: "main" }, "Add"), button("Cancel", () => opened.close()))));
  chosenField();
}
