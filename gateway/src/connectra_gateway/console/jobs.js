// Imports and exports under way and done.

import { ask, call, changes, pause } from "./api.js";
import { announce, button, busy, choice, empty, fill, h, heading, labelled, number, refused, size, table, time } from "./ui.js";

const ENDED = new Set(["completed", "failed"]);
const POLL_MILLISECONDS = { least: 400, most: 5_000 };
const LIST_MILLISECONDS = 5_000;

const STATES = {
  open: "Waiting", in_queue: "Waiting", processing: "Running", completed: "Completed", failed: "Failed", retry_in_queued: "Waiting to be tried again", retrying: "Running again",
};
const GROUPS = {
  all: undefined, running: ["open", "in_queue", "processing", "retry_in_queued", "retrying"], completed: ["completed"], failed: ["failed"],
};
const FILES = {
  result: "Download the file", rejected: "Download the rejected rows", left_out: "Download the cells that were left out", source: "Download what was imported",
};

export async function jobsPage(main, { signal }) {
  const state = choice([["all", "All"], ["running", "Waiting and running"], ["completed", "Completed"], ["failed", "Failed"]], "all");
  const list = h("section", { "aria-label": "Jobs" });
  fill(main, heading("Jobs"), labelled("State", state), list);
  const draw = () => page([]);
  let later, turns = 0;
  signal.addEventListener("abort", () => clearTimeout(later));
  state.addEventListener("change", draw);
  await draw();

  /** The first page is asked for again while something on it goes on. */
  async function page(before, cursor, again = false) {
    clearTimeout(later);
    const turn = (turns += 1);
    if (!cursor && !again) fill(list, busy());
    try {
      const answer = await ask("/common/jobs", { status: GROUPS[state.value], limit: 25, ...(cursor && { cursor }) }, signal);
      if (turn !== turns) return;
      const all = [...before, ...answer.data];
      if (!cursor && all.some((job) => !ENDED.has(job.status))) later = setTimeout(() => page([], undefined, true), LIST_MILLISECONDS);
      const focused = list.contains(document.activeElement) && document.activeElement.getAttribute("href");
      fill(list,
        all.length ? table("Jobs, newest first", ["Job", "State", "Begun", "Rows"], all.map(row)) : empty("There are no jobs here.", h("p", {}, h("a", { href: "#/import" }, "Import a file"), " or export what you have found.")),
        answer.next_cursor && button("Earlier", () => page(all, answer.next_cursor)));
      if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    } catch (error) {
      if (!signal.aborted && turn === turns) fill(list, refused(error, draw));
    }
  }

  function row(job) {
    const link = h("a", { href: `#/jobs/${job.uuid}` }, titleOf(job));
    return [link, stateOf(job), time(job.created_at), number(job.job_response.rows ?? job.progress.rows ?? 0)];
  }
}

export async function jobPage(main, { id, signal }) {
  const path = `/common/jobs/${encodeURIComponent(id)}`;
  fill(main, heading("Job"), busy());
  const { data: first } = await call("GET", path, { signal });
  const body = h("section", { "aria-label": "Progress and result" });
  fill(main, h("p", {}, h("a", { href: "#/jobs" }, "← Jobs")), heading(titleOf(first)), body);
  main.querySelector("h1").focus();
  await follow(body, first, signal);
  return false; // the heading has had the focus since the beginning
}

/** Draws a job until it has ended, and what came of it. */
export async function follow(element, first, signal) {
  const path = `/common/jobs/${first.uuid}`;
  let job = first, told = changes(first.uuid, signal), wait = POLL_MILLISECONDS.least, said;
  const searchable = () => job.job_type !== "insert_csv_file" || job.data.validate_only || job.job_response.searchable !== false;
  while (true) {
    if (said !== job.status) announce(`${titleOf(job)}: ${stateOf(job)}`);
    said = job.status;
    if (ENDED.has(job.status) && (job.status === "failed" || searchable())) break;
    fill(element, running(job));
    const next = await told?.next().catch(() => null);
    if (next?.value) {
      job = next.value;
      continue;
    }
    // Nothing more is told: the connection broke, or the job has ended and is not searchable yet. So it is asked for, less and less often.
    told = null;
    await pause(wait, signal);
    job = (await call("GET", path, { signal })).data;
    wait = Math.min(wait * 1.5, POLL_MILLISECONDS.most);
  }
  const { data: files } = await call("GET", `${path}/files`, { signal });
  fill(element, ended(job, files));
  return job;

  function running(now) {
    const { rows = 0, bytes, total_bytes: totalBytes, total_rows: totalRows, index_wait_seconds: waited } = now.progress;
    const part = totalBytes ? bytes / totalBytes : totalRows ? rows / totalRows : null;
    const bar = h("progress", { max: "1", "aria-label": "Progress" });
    if (part !== null) bar.value = Math.min(part, 1);
    const words = ENDED.has(now.status) ? "Stored; the search is being brought up to date." : `${stateOf(now)}: ${number(rows)} rows${totalRows ? ` of ${number(totalRows)}` : ""}.`;
    return [h("p", {}, words), bar, waited > 0 && h("p", { class: "note" }, "It waits for the search index, which has much to do."), !ENDED.has(now.status) && action("Cancel", "cancel")];
  }

  function ended(now, found) {
    const response = now.job_response;
    const numbers = Object.entries({
      rows: "Rows", created: "Records created", updated: "Records changed", unchanged: "Records already so", companies: "Rows with a company",
      contacts: "Rows with a person", rejected: "Rows rejected", left_out: "Cells left out",
    }).filter(([name]) => response[name] !== undefined);
    const ok = now.status === "completed";
    return [
      h("div", { class: ok ? "state fine" : "state wrong" }, h("p", {}, h("strong", {}, stateOf(now))), response.messages && h("p", {}, response.messages)),
      numbers.length > 0 && h("dl", {}, numbers.map(([name, label]) => [h("dt", {}, label), h("dd", {}, number(response[name]))])),
      response.unknown_columns?.length > 0 && h("p", {}, `Columns that were not understood: ${response.unknown_columns.join(", ")}`),
      response.runtime_errors?.length > 0 && h("details", {}, h("summary", {}, "What went wrong"), h("ul", {}, response.runtime_errors.map((one) => h("li", {}, typeof one === "string" ? one : JSON.stringify(one))))),
      h("ul", { class: "files" }, found.map((file) => file.download_url && h("li", {}, h("a", { href: file.download_url, download: true, class: file.kind === "result" ? "main" : undefined }, FILES[file.kind] ?? file.kind), ` ${size(file.size_bytes)}`))),
      h("p", { class: "actions" },
        now.status === "failed" && action("Run it again", "retry"),
        ok && now.job_type === "insert_csv_file" && !now.data.validate_only && h("a", { href: "#/contacts?order=updated_at+desc" }, "See the contacts")),
    ];
  }

  function action(text, name) {
    const wrong = h("div");
    return [button(text, async (event) => {
      event.target.disabled = true;
      try {
        const answer = await call("POST", `${path}/${name}`, { signal });
        if (name === "retry") follow(element, answer.data, signal).catch((error) => fill(element, refused(error)));
      } catch (error) {
        event.target.disabled = false;
        fill(wrong, refused(error));
      }
    }), wrong];
  }
}

function titleOf(job) {
  if (job.job_type === "export_csv_file") return `Export of ${job.data.service?.startsWith("compan") ? "companies" : "contacts"}`;
  // Keys of uploads are a folder, a uuid and the name of the file.
  const name = (job.data.s3_key ?? "").split("/").at(-1).replace(/^[0-9a-f-]{36}_/, "");
  return `${job.data.validate_only ? "Check" : "Import"} of ${name}`;
}

function stateOf(job) {
  if (job.status === "failed" && /cancel/i.test(job.job_response.messages ?? "")) return "Cancelled";
  return STATES[job.status] ?? job.status;
}
