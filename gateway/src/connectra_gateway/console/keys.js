// Who may call: the clients of the gateway and their keys. Only administrators see it.

import { call } from "./api.js";
import { announce, button, dialog, empty, fill, h, labelled, number, refused, show, table, tick, time } from "./ui.js";

// What each right opens, in the order of need; the usual ones are chosen to begin with.
const RIGHTS = {
  read: "search and look up records", export: "take all that is found as a file", write: "create, change and delete records", import: "upload and import files",
  admin: "keys, the search index, and the jobs of all",
};
const USUAL = new Set(["read", "export", "write", "import"]);

/** Draws the section of keys; nothing where the key of this page may not see it. */
export function keys(element, signal) {
  const draw = () => show(element, async () => {
    const answer = await call("GET", "/common/keys", { signal }).catch((error) => {
      if (error.status === 403) return null;
      element.hidden = false;
      throw error;
    });
    element.hidden = !answer;
    return answer && listed(answer);
  });
  return draw();

  function listed({ data, writable, read_only_reason: reason }) {
    return [
      h("h2", { id: "keys", tabindex: "-1" }, "API keys"),
      writable
        ? h("p", { class: "actions" }, button("New key", create))
        : empty("Keys can be seen here, but not changed.", h("p", {}, reason)),
      table("Clients and their keys", ["Client", "May", "Calls a minute", "Keys", ...(writable ? ["Change"] : [])], data.map((one) => row(one, writable))),
    ];
  }

  function row(client, writable) {
    const cells = [client.name, client.rights.join(", "), client.requests_per_minute ? number(client.requests_per_minute) : "as all",
      client.keys.length ? h("ul", { class: "files" }, client.keys.map((one) => h("li", {}, h("code", {}, `${one.begins}…`), one.expires_at && ` until ${time(one.expires_at)}`))) : "none is valid any more"];
    if (writable && client.fixed) cells.push("setting API_KEY");
    else if (writable) {
      cells.push(h("span", { class: "actions" },
        button("Change", () => change(client), { "aria-label": `Change what ${client.name} may do` }),
        button("Rotate", () => rotate(client), { "aria-label": `Rotate the key of ${client.name}` }),
        button("Revoke", () => revoke(client), { "aria-label": `Revoke ${client.name}` })));
    }
    return h("tr", {}, h("th", { scope: "row" }, cells[0]), cells.slice(1).map((cell) => h("td", {}, cell)));
  }

  /** After a change: the buttons that were pressed are gone. */
  async function again(said) {
    await draw();
    announce(said);
    element.querySelector("h2")?.focus();
  }

  function create() {
    const name = h("input", { required: true, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}", title: "Letters, digits, dots, dashes and underscores", autocomplete: "off", spellcheck: "false" });
    const may = permissions(USUAL);
    const end = h("input", { type: "date" });
    ask("New key", "Make the key", [
      labelled("Name", name, "Who will use it, such as crm. Logs and histories show it."),
      may.rights,
      labelled("Valid until", end, "The beginning of that day (UTC). Empty: until it is revoked."),
      may.limit,
    ], async () => {
      const body = { name: name.value.trim(), ...may.chosen(), ...(end.value && { expires_at: end.value }) };
      reveal((await call("POST", "/common/keys", { body, signal })).data);
    });
  }

  function change(client) {
    const may = permissions(new Set(client.rights), client.requests_per_minute);
    ask(`Change ${client.name}`, "Save", [
      h("p", {}, "Its keys stay as they are. What is changed holds within a second."),
      may.rights, may.limit,
    ], async () => {
      await call("PATCH", `/common/keys/${encodeURIComponent(client.name)}`, { body: may.chosen(), signal });
      again(`${client.name} was changed`);
    });
  }

  /** The controls of what a client may do, and what they say. */
  function permissions(rights, perMinute) {
    const boxes = Object.entries(RIGHTS).map(([right, words]) => tick(`${right}: ${words}`, rights.has(right), undefined, { value: right, name: "right" }));
    const limit = h("input", { type: "number", min: "1", max: "1000000", value: perMinute ?? "" });
    return {
      rights: h("fieldset", {}, h("legend", {}, "What it may do"), boxes),
      limit: labelled("Calls a minute", limit, "Empty: as many as all."),
      chosen() {
        const named = boxes.map((box) => box.querySelector("input")).filter((box) => box.checked).map((box) => box.value);
        if (!named.length) throw { inWords: () => ({ title: "It may do nothing", advice: "Choose at least one right." }) };
        return { rights: named, requests_per_minute: limit.value ? Number(limit.value) : null };
      },
    };
  }

  function rotate(client) {
    const hours = h("input", { type: "number", min: "0", max: "8760", value: "24", required: true });
    ask(`A new key for ${client.name}`, "Make the key", [
      labelled("Former keys go on for so many hours", hours, "Until then both work, so that nothing stands still. 0 ends them at once."),
    ], async () => {
      const body = { overlap_seconds: Math.round(Number(hours.value) * 3600) };
      reveal((await call("POST", `/common/keys/${encodeURIComponent(client.name)}/rotate`, { body, signal })).data);
    });
  }

  function revoke(client) {
    ask(`Revoke ${client.name}?`, "Revoke", [h("p", {}, "Its keys stop working within a second. This cannot be undone: a new key would be another one.")], async () => {
      await call("DELETE", `/common/keys/${encodeURIComponent(client.name)}`, { signal });
      again(`${client.name} was revoked`);
    });
  }

  /** A dialog that does something; refusals are told in it. */
  function ask(title, text, content, done) {
    const wrong = h("div");
    const enter = h("button", { type: "submit", class: "main" }, text);
    const submit = async (event) => {
      event.preventDefault();
      enter.disabled = true;
      try {
        await done();
        opened.close();
      } catch (error) {
        enter.disabled = false;
        fill(wrong, refused(error));
      }
    };
    const opened = dialog(title, h("form", { onsubmit: submit }, content, wrong,
      h("p", { class: "actions" }, enter, button("Cancel", () => opened.close()))));
  }

  /** The one time that a key is shown. It leaves the page with the dialog. */
  function reveal(client) {
    const shown = h("input", { readonly: true, value: client.key, spellcheck: "false", class: "key" });
    const told = h("p", { class: "note", role: "status" });
    const copy = async () => {
      shown.select();
      // Without TLS a browser gives pages no clipboard but by this older way.
      const copied = await (navigator.clipboard?.writeText(client.key) ?? Promise.reject()).then(() => true, () => document.execCommand("copy"));
      fill(told, copied ? "Copied." : "Not copied: copy the marked text yourself.");
    };
    const opened = dialog(`The key of ${client.name}`,
      h("p", {}, "It is shown only this once, and kept nowhere in the console: give it to whoever will use it, by a safe way."),
      labelled("Key", shown), told,
      h("p", { class: "actions" }, button("Copy", copy, { class: "main" }), button("Done", () => opened.close())));
    opened.addEventListener("close", () => again(`${client.name} has a new key`));
    shown.select();
  }
}
