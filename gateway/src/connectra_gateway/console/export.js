// What is shown, as a file.

import { call } from "./api.js";
import { vql } from "./query.js";
import { button, choice, dialog, fill, h, labelled, number, refused, tick } from "./ui.js";

/** Asks how, and begins the job, whose page has the file once it is complete. */
export function exportDialog(kind, query, columns, total) {
  const format = choice([["csv", "CSV, for spreadsheets"], ["ndjson", "NDJSON, for programs"]], "csv");
  const packed = tick("Packed (gzip)", false);
  const wrong = h("div");
  // A second click is the same wish.
  const once = crypto.randomUUID?.() ?? `export-${Date.now()}-${Math.random()}`;

  async function begin(event) {
    event.preventDefault();
    const data = { service: kind, vql: { ...vql(query), select_columns: columns }, format: format.value, gzip: packed.querySelector("input").checked };
    try {
      const job = await call("POST", "/common/jobs/create", { body: { job_type: "export_csv_file", job_data: data, retry_count: 3 }, once });
      opened.close();
      location.hash = `#/jobs/${job.data.uuid}`;
    } catch (error) {
      fill(wrong, refused(error));
    }
  }

  const opened = dialog("Export",
    h("form", { onsubmit: begin },
      h("p", {}, `${total === null ? "All" : number(total)} ${kind} that are found now, with the ${columns.length} columns that are shown.`),
      labelled("Format", format), packed, wrong,
      h("p", { class: "actions" }, h("button", { type: "submit", class: "main" }, "Export"), button("Cancel", () => opened.close()))));
}
