// One record: its fields, its company or its people, what happened to it, and editing.

import { ask, call } from "./api.js";
import { asText, columnsOf, isName, KINDS, shown } from "./records.js";
import { session } from "./session.js";
import { announce, button, busy, dialog, empty, fill, h, heading, labelled, number, refused, show, table, time } from "./ui.js";

const HISTORY_ROWS = 10;

export async function recordPage(main, { kind, id, signal }) {
  const about = KINDS[kind];
  const path = `/${kind}/${encodeURIComponent(id)}`;
  fill(main, heading(about.title), busy());
  const columns = await columnsOf(kind);
  const own = [...columns.values()].filter((one) => !one.name.includes("."));
  let { data: record, etag } = await call("GET", path, { signal });

  const fields = h("section", { "aria-labelledby": "fields" });
  const beside = h("section", { "aria-labelledby": "beside" });
  const past = h("section", { "aria-labelledby": "past" });
  draw();

  function draw() {
    const title = KINDS[kind].name(record);
    fill(main,
      h("p", {}, h("a", { href: session.list(kind) }, `← ${about.title}`)),
      h("div", { class: "title" }, heading(title), button("Edit", edit), button("Delete", remove)),
      h("div", { class: "record" }, fields, h("div", {}, beside, past)));
    drawFields();
    related();
    drawPast();
  }

  function drawFields() {
    // What nobody edits comes last.
    const filled = [...own].sort((one, other) => one.read_only - other.read_only).filter((one) => asText(one, record[one.name]) !== "");
    fill(fields, h("h2", { id: "fields" }, "Fields"), list(filled, record), h("p", { class: "note" }, `${own.length - filled.length} more fields are empty.`));
  }

  function related() {
    if (kind === "companies") {
      const where = JSON.stringify([["company_id", "in", [record.uuid]]]);
      show(beside, async () => {
        const { count } = await ask("/contacts/count", { filters: { field: "company_id", operator: "eq", value: record.uuid } }, signal);
        return [h("h2", { id: "beside" }, "People"), h("p", {}, h("a", { href: `#/contacts?${new URLSearchParams({ where })}` }, `${number(count)} ${count === 1 ? "contact" : "contacts"}`))];
      });
    } else if (record.company_id) {
      show(beside, async () => {
        const known = await columnsOf("companies");
        const { data: company } = await call("GET", `/companies/${record.company_id}`, { signal });
        const filled = KINDS.companies.shown.concat("website", "phone_number").map((name) => known.get(name)).filter((one) => asText(one, company[one.name]) !== "");
        return [h("h2", { id: "beside" }, "Company"), h("p", {}, h("a", { href: `#/companies/${company.uuid}` }, KINDS.companies.name(company))), list(filled, company)];
      });
    } else fill(beside, h("h2", { id: "beside" }, "Company"), empty("None is known."));
  }

  function drawPast(cursor, before = []) {
    show(past, async () => {
      const query = new URLSearchParams({ limit: HISTORY_ROWS, ...(cursor && { cursor }) });
      const answer = await call("GET", `${path}/history?${query}`, { signal });
      const entries = [...before, ...answer.data];
      return [
        h("h2", { id: "past" }, "History"),
        entries.length ? h("ol", { class: "history" }, entries.map(entry)) : empty("Nothing is recorded."),
        answer.next_cursor && button("Earlier", () => drawPast(answer.next_cursor, entries)),
      ];
    });
  }

  function entry(change) {
    const fieldsChanged = Object.entries(change.changes).filter(([name]) => !["updated_at", "created_at"].includes(name));
    const by = change.job_uuid ? ["import ", h("a", { href: `#/jobs/${change.job_uuid}` }, "job")] : change.actor?.replace("client:", "");
    const done = { create: "Created", update: "Changed", delete: "Deleted", revive: "Brought back" }[change.action] ?? change.action;
    return h("li", {},
      h("p", {}, h("strong", {}, done), " ", h("time", { datetime: change.time }, time(change.time)), by && [", by ", by]),
      fieldsChanged.length > 0 && h("ul", {}, fieldsChanged.map(([name, { old, new: now }]) => {
        const column = columns.get(name) ?? { name };
        return h("li", {}, `${column.display_name ?? name}: `, h("del", {}, asText(column, old) || "nothing"), " → ", h("ins", {}, asText(column, now) || "nothing"));
      })));
  }

  function edit() {
    const inputs = new Map(own.filter((one) => !one.read_only).map((one) => [one, input(one, record[one.name])]));
    const wrong = h("div");
    const save = h("button", { type: "submit", class: "main" }, "Save");

    /** The fields that differ from the record as it was when editing began. */
    function changes() {
      const found = {};
      for (const [column, control] of inputs) {
        const value = typed(column, control.value);
        if (asEdited(column, value) !== asEdited(column, record[column.name])) found[column.name] = value;
      }
      return found;
    }

    async function submit(event) {
      event.preventDefault();
      const changed = changes();
      if (!Object.keys(changed).length) return draw();
      save.disabled = true;
      try {
        const answer = await call("PUT", path, { body: changed, ifMatch: etag, signal });
        [record, etag] = [answer.data, answer.etag];
        announce("Saved");
        draw();
        main.querySelector("h1").focus();
      } catch (error) {
        save.disabled = false;
        try {
          if (error.status !== 412) throw error;
          await conflict(changed);
        } catch (refusal) { // it may even be gone
          fill(wrong, refused(refusal)).scrollIntoView({ block: "nearest" });
        }
      }
    }

    /** Somebody else was faster: shows theirs beside ours, and saves ours over theirs only when that is said. */
    async function conflict(changed) {
      const theirs = await call("GET", path, { signal });
      const differing = own.filter((one) => !["updated_at", "id"].includes(one.name) && (one.name in changed || asEdited(one, theirs.data[one.name]) !== asEdited(one, record[one.name])));
      const opened = dialog("Somebody else changed this record",
        h("p", {}, "Since you began, it was saved by somebody else. Nothing of yours is lost: choose."),
        table("Your version and theirs", ["Field", "Before", "Theirs", "Yours"], differing.map((one) => [
          one.display_name, asText(one, record[one.name]), asText(one, theirs.data[one.name]), one.name in changed ? asText(one, changed[one.name]) : "not changed",
        ])),
        h("p", { class: "actions" },
          button("Save mine over theirs", async () => {
            opened.close();
            [record, etag] = [theirs.data, theirs.etag];
            for (const [column, control] of inputs) if (!(column.name in changed)) control.value = asEdited(column, record[column.name]);
            save.form.requestSubmit();
          }, { class: "main" }),
          button("Take theirs", () => {
            opened.close();
            [record, etag] = [theirs.data, theirs.etag];
            draw();
          }),
          button("Go on editing", () => opened.close())));
    }

    const form = h("form", { onsubmit: submit, class: "edit" },
      [...inputs].map(([column, control]) => labelled(column.display_name, control, column.type === "list" ? "Several with commas between." : undefined)),
      wrong,
      h("p", { class: "actions" }, save, button("Cancel", draw)));
    const unsaved = () => form.isConnected && Object.keys(changes()).length > 0;

    // Before what was typed is lost: by a link, the way back, or closing the page.
    const here = location.hash;
    function following(event) {
      const link = event.target.closest("a[href^='#']");
      if (!link || !unsaved()) return;
      event.preventDefault();
      question(link.hash);
    }
    function leaving(event) {
      if (!unsaved()) return;
      event.preventDefault();
      const there = location.hash;
      history.pushState(null, "", here);
      question(there);
    }
    function question(there) {
      const opened = dialog("Leave without saving?", h("p", {}, "What you changed in this record has not been saved."),
        h("p", { class: "actions" }, button("Stay", () => opened.close(), { class: "main" }), button("Leave", () => {
          opened.close();
          form.remove();
          location.hash = there;
        })));
    }
    document.addEventListener("click", following, { capture: true, signal });
    addEventListener("leaving", leaving, { signal });
    addEventListener("beforeunload", (event) => unsaved() && event.preventDefault(), { signal });

    fill(fields, h("h2", { id: "fields" }, "Edit"), form);
    inputs.values().next().value.focus();
  }

  function remove() {
    const wrong = h("div");
    const really = async () => {
      try {
        await call("DELETE", path, { ifMatch: etag, signal });
        opened.close();
        location.hash = session.list(kind);
      } catch (error) {
        fill(wrong, error.status === 412 ? await changed().catch(refused) : refused(error));
      }
    };
    const changed = async () => {
      ({ data: record, etag } = await call("GET", path, { signal }));
      draw();
      return empty("Somebody else changed this record.", h("p", {}, "Behind this question it is as it is now. Delete it all the same?"));
    };
    const opened = dialog(`Delete ${KINDS[kind].name(record)}?`,
      h("p", {}, `This ${about.one} will not be found any more.`), wrong,
      h("p", { class: "actions" }, button("Delete", really, { class: "main" }), button("Cancel", () => opened.close(), { autofocus: true })));
  }
}

function list(columns, record) {
  return h("dl", {}, columns.map((one) => [
    h("dt", {}, one.display_name),
    h("dd", { class: isName(one) ? "name" : undefined }, shown(one, record[one.name])),
  ]));
}

function input(column, value) {
  return h("input", { type: column.type === "integer" ? "number" : "text", value: asEdited(column, value), min: column.type === "integer" ? "0" : undefined, autocomplete: "off" });
}

function asEdited(column, value) {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.map((one) => (one.includes(",") ? `"${one}"` : one)).join(", ") : String(value);
}

function typed(column, text) {
  const trimmed = text.trim();
  if (column.type === "list") return [...trimmed.matchAll(/"([^"]*)"|([^,]+)/g)].map(([, quoted, plain]) => (quoted ?? plain).trim()).filter(Boolean);
  if (trimmed === "") return null;
  return column.type === "integer" ? Number(trimmed) : trimmed;
}
