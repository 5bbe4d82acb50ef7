// The frame: signing in, the pages by address, and the focus when they change.

import { adminPage } from "./admin.js";
import { call } from "./api.js";
import { importPage } from "./import.js";
import { jobPage, jobsPage } from "./jobs.js";
import { recordPage } from "./record.js";
import { searchPage } from "./search.js";
import { session } from "./session.js";
import { button, fill, h, heading, labelled, refused } from "./ui.js";

const PAGES = [
  ["#/contacts", "Contacts"], ["#/companies", "Companies"], ["#/import", "Import"], ["#/jobs", "Jobs"], ["#/system", "System"],
];

const main = document.getElementById("main");
const bar = document.getElementById("top");
let shown = new AbortController();

/** The page of the address: `#/contacts?…`, `#/contacts/UUID`, `#/jobs/UUID`. A page returns what is to have the focus: its heading, if it says nothing. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [first = "", id] = path.split("/");
  const more = { kind: first, id, parameters: new URLSearchParams(query) };
  if (first === "contacts" || first === "companies") return [id ? recordPage : searchPage, more];
  if (first === "jobs") return [id ? jobPage : jobsPage, more];
  if (first === "import") return [importPage, more];
  if (first === "system") return [adminPage, more];
  return null;
}

async function draw() {
  document.querySelectorAll("dialog").forEach((one) => one.close());
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  if (!session.open) return signIn();
  const found = route();
  if (!found) return location.replace("#/contacts");
  const [page, more] = found;
  frame();
  try {
    const focus = await page(main, { ...more, signal });
    if (!signal.aborted && focus !== false) (focus ?? main.querySelector("h1"))?.focus();
  } catch (error) {
    if (!signal.aborted) fill(main, heading("Connectra"), refused(error, draw));
  }
}

function frame() {
  const here = location.hash.split("?")[0];
  const links = PAGES.map(([address, text]) => h("li", {}, h("a", { href: address, "aria-current": here === address ? "page" : here.startsWith(`${address}/`) ? "true" : undefined }, text)));
  fill(bar,
    h("a", { href: "#/contacts", class: "brand" }, "Connectra"),
    h("nav", { "aria-label": "Pages of the console" }, h("ul", {}, links)),
    button("Sign out", () => {
      session.leave();
      history.replaceState(null, "", "/console"); // the next one starts with no query of this one
      draw();
    }));
}

function signIn(problem) {
  fill(bar, h("span", { class: "brand" }, "Connectra"));
  const key = h("input", { type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const wrong = h("div", {}, problem);
  const enter = h("button", { type: "submit", class: "main" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    enter.disabled = true;
    session.enter(key.value.trim());
    try {
      // What every key with any right to read may do; one that may only import is refused there, but known.
      await call("GET", "/contacts/filters", { entering: true }).catch((error) => {
        if (error.status !== 403) throw error;
      });
      draw();
    } catch (error) {
      session.leave();
      enter.disabled = false;
      fill(wrong, refused(error));
      key.focus();
    }
  };
  fill(main,
    h("form", { class: "sign-in", onsubmit: submit },
      heading("Sign in"),
      labelled("API key", key, "Whoever runs Connectra gives it out. It stays in the memory of this page: reloading or signing out forgets it."),
      wrong, enter,
      h("p", { class: "note" }, "For programs there is ", h("a", { href: "/docs" }, "the API"), ".")));
  key.focus();
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
// A page that has something to lose may refuse.
addEventListener("hashchange", () => dispatchEvent(new Event("leaving", { cancelable: true })) && draw());
addEventListener("signed-out", () => {
  session.leave();
  shown.abort();
  signIn(h("div", { class: "state wrong", role: "alert" }, h("p", {}, h("strong", {}, "You have been signed out")), h("p", {}, "The key is not valid any more. Sign in with another one.")));
});
draw();
