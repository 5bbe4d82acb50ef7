// A file, step by step: drop it, see what its columns mean, check it, import it.

import { ask, call } from "./api.js";
import { follow } from "./jobs.js";
import { columnsOf } from "./records.js";
import { announce, button, busy, choice, fill, h, heading, labelled, number, refused, size, table } from "./ui.js";
import { upload } from "./upload.js";

// Targets that are no column of a record (docs/import.md).
const SPREAD = [["full_name", "Whole name"], ["last_first_name", "Whole name, last name first"], ["person_url", "Person's profile or website"], ["company_url", "Company's profile or website"]];
const SURE = { exact: "documented name", known: "name that a tool has for it", guessed: "guessed", given: "as you said" };

export async function importPage(main, { signal }) {
  const step = h("section", { "aria-live": "off" });
  fill(main, heading("Import"), step);
  choose();

  function choose(problem) {
    const input = h("input", { type: "file", accept: ".csv,.tsv,.txt,.xlsx,.gz", id: "file", onchange: () => input.files[0] && send(input.files[0]) });
    const zone = h("div", { class: "drop" },
      h("p", {}, h("label", { for: "file" }, "Drop a file here, or choose one")), input,
      h("p", { class: "note" }, "CSV in any encoding or XLSX, also packed (gzip): from LinkedIn, HubSpot, Salesforce, Apollo, Google, Outlook, or made by hand. Nothing is stored before you have seen what it means."));
    const over = (on) => (event) => {
      event.preventDefault();
      zone.classList.toggle("over", on);
    };
    zone.addEventListener("dragover", over(true));
    zone.addEventListener("dragleave", over(false));
    zone.addEventListener("drop", (event) => {
      over(false)(event);
      if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
    });
    fill(step, title(1, "Choose a file"), problem, zone);
  }

  async function send(file) {
    const bar = h("progress", { max: "1", "aria-label": "Upload" });
    const told = h("span");
    const asked = new AbortController();
    fill(step, title(1, "Choose a file"),
      h("p", { role: "status" }, `Sending ${file.name}, ${size(file.size)} …`), bar,
      h("p", { class: "actions" }, button("Stop", () => asked.abort()), told));
    const progress = (part) => {
      bar.value = part;
      fill(told, `${Math.floor(part * 100)} %`);
    };
    try {
      const key = await upload(file, progress, AbortSignal.any([signal, asked.signal]));
      await preview({ key, name: file.name });
    } catch (error) {
      if (signal.aborted) return;
      if (asked.signal.aborted) choose(stopped(file));
      else choose(refused(error, () => send(file)));
    }
  }

  function stopped(file) {
    return h("div", { class: "state", role: "status" },
      h("p", {}, h("strong", {}, "Stopped.")), h("p", {}, "What has arrived of a large file stays for some days: as long as this page is open, it goes on from there."),
      button("Go on", () => send(file)));
  }

  async function preview(source, columns = {}) {
    fill(step, title(2, "See what it means"), busy("Reading the beginning of the file …"));
    const [answer, targets] = await Promise.all([ask("/common/imports/preview", { s3_key: source.key, ...given(columns) }, signal), mapping()]);
    const { shape, columns: found, rows, problems, sample } = answer.data;
    const changed = { ...columns };
    // What is not possible keeps the choices that led there.
    const refresh = button("Show again with these", () => preview(source, changed).catch((error) => again(source, columns, error)), { hidden: true });
    const lines = found.map((one, i) => {
      // Phones with a label of their own have targets that are no column.
      const known = !one.target || targets.some(([name]) => name === one.target);
      const select = choice([["", "Leave it out"], ...targets, ...(known ? [] : [[one.target, one.target.replaceAll("_", " ")]])], one.target ?? "", { "aria-label": `${one.header || `Column ${i + 1}`} fills` });
      select.addEventListener("change", () => {
        changed[one.header] = select.value || null;
        refresh.hidden = false;
      });
      return [one.header || h("span", { class: "none" }, "no name"), select, one.instead ? `${one.instead} is better` : (SURE[one.confidence] ?? "not understood"), one.samples.slice(0, 3).join(" | ")];
    });
    fill(step,
      title(2, "See what it means"),
      h("p", {}, `${source.name}: ${shape.format}, ${shape.encoding}, header in line ${shape.header_line}. ${number(sample.rows)} rows ${sample.whole_file ? "in all" : "of the beginning"} were read; ${sample.rejected} would be rejected, ${sample.left_out} cells left out.`),
      table("Columns and what they fill", ["Column", "Fills", "How sure", "Values"], lines),
      refresh,
      h("h3", {}, "As it would be stored"),
      stored(rows),
      faults(problems),
      h("p", { class: "actions" },
        button("Import", () => run(source, changed, false), { class: "main" }),
        button("Check the whole file first", () => run(source, changed, true)),
        button("Another file", () => choose())));
    announce(`${found.length} columns, ${found.filter((one) => one.target).length} understood`);
    step.querySelector("h2").focus();
  }

  async function again(source, columns, error) {
    await preview(source, columns);
    step.querySelector("h2").after(refused(error));
  }

  async function run(source, columns, only) {
    const result = h("div");
    fill(step, title(only ? 3 : 4, only ? "Check" : "Import"), result);
    step.querySelector("h2").focus();
    try {
      const data = { s3_key: source.key, ...given(columns), ...(only && { validate_only: true }) };
      const created = await call("POST", "/common/jobs/create", { body: { job_type: "insert_csv_file", job_data: data, retry_count: only ? 0 : 3 }, signal });
      await follow(result, created.data, signal);
      if (only) result.append(h("p", { class: "actions" }, button("Import", () => run(source, columns, false), { class: "main" }), button("Another file", () => choose())));
      else result.append(h("p", {}, button("Import another file", () => choose())));
    } catch (error) {
      if (!signal.aborted) fill(result, refused(error, () => run(source, columns, only)));
    }
  }
}

/** What is said about columns, if anything is. */
function given(columns) {
  return Object.keys(columns).length ? { columns } : {};
}

function title(count, text) {
  return h("h2", { tabindex: "-1" }, h("span", { class: "step" }, String(count)), " ", text);
}

/** What a column may fill: columns of people first. */
async function mapping() {
  const [people, firms] = await Promise.all([columnsOf("contacts"), columnsOf("companies")]);
  const named = new Map();
  for (const column of people.values()) if (!column.name.includes(".")) for (const name of column.csv_columns) named.set(name, column.display_name);
  for (const column of firms.values()) for (const name of column.csv_columns) if (!named.has(name)) named.set(name, `Company: ${column.display_name}`);
  return [...named, ...SPREAD];
}

function stored(rows) {
  const filled = (record) => Object.entries(record ?? {}).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  const said = (record) => filled(record).map(([name, value]) => `${name.replaceAll("_", " ")}: ${[value].flat().join(", ")}`).join("; ");
  return table("The first rows as they would be stored", ["Line", "Person", "Company"], rows.slice(0, 10).map((row) => [String(row.line), said(row.contact), said(row.company)]));
}

function faults({ rejected_rows: rejected, left_out_cells: cells, unknown_columns: unknown }) {
  return [
    rejected.length > 0 && h("details", {}, h("summary", {}, "Rows that would be rejected"), h("ul", {}, rejected.map((one) => h("li", {}, `Line ${one.line}: ${one.reason}`)))),
    cells.length > 0 && h("details", {}, h("summary", {}, "Cells that would be left out"), h("ul", {}, cells.map((one) => h("li", {}, `Line ${one.line}, ${one.column}: ${one.value}: ${one.reason}`)))),
    unknown.length > 0 && h("p", {}, `Columns that were not understood: ${unknown.join(", ")}. Say above what they fill, or leave them out.`),
  ];
}
