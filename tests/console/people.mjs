// What somebody does at the console who has never seen a command line, in a real browser.
//
// Every page is looked at by axe. Ends with 1 at the first thing that is not as it should be.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { given, opened, require } from "./browser.mjs";

const axe = require("axe-core").source;
const { browser, context, page } = await opened();

const hosts = new Set();
const wrong = [];
page.on("request", (request) => hosts.add(new URL(request.url()).host));
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("dialog", (dialog) => wrong.push(`a dialog: ${dialog.message()}`));
page.on("console", (message) => {
  // What the pages are made to show: a wrong key, a conflict, no network, a part of a file that does not arrive.
  const expected = /status of (401|403|404|409|412)|ERR_INTERNET_DISCONNECTED|ERR_FAILED/;
  if (message.type() === "error" && !expected.test(message.text())) wrong.push(message.text());
});

let step = "";
async function doing(what, run) {
  step = what;
  const began = Date.now();
  await run();
  console.log(`${what}: ${Date.now() - began} ms`);
}

async function accessible() {
  // By the tools of the browser, which the page's own policy does not bind.
  await page.evaluate(`${axe}; undefined`);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.map((one) => `${one.impact} ${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(found, [], "axe");
}

/** The content of the file that a link leads to. */
async function downloaded(link) {
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  return [await readFile(await download.path(), "utf8"), download.suggestedFilename()];
}

async function picture(name) {
  await page.screenshot({ path: `${given.images}/console-${name}.png` });
}

async function api(method, path, body, headers = {}) {
  const answer = await fetch(`${given.gateway}${path}`, {
    method, headers: { "x-api-key": given.key, ...headers }, body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

const role = (name, options) => page.getByRole(name, options);
const box = () => role("searchbox", { name: "Search" });
const rows = () => page.locator(".hits tbody tr");

try {
  await doing("a wrong key is refused in words", async () => {
    await page.goto(`${given.gateway}/console`);
    await page.getByLabel("API key").fill("not-a-key-of-this-gateway");
    await role("button", { name: "Sign in" }).click();
    await page.getByText("This key is not known here").waitFor();
    await accessible();
  });

  await doing("sign in", async () => {
    await page.getByLabel("API key").fill(given.key);
    await page.keyboard.press("Enter");
    await rows().first().waitFor();
    await page.locator(".facets details").first().waitFor();
    await accessible();
    assert.equal(await page.evaluate(() => document.activeElement.id), "q");
    await picture("contacts");
  });

  await doing("markup in a record is text", async () => {
    const name = "<img src=x onerror=alert(1)>";
    await api("POST", "/companies/create", { name });
    await role("link", { name: "Companies" }).click();
    await box().pressSequentially("onerror");
    await page.locator(".hits").getByText(name).waitFor();
    assert.equal(await page.locator("main img").count(), 0);
  });

  await doing("import a LinkedIn export", async () => {
    await role("link", { name: "Import" }).click();
    await accessible();
    await page.getByLabel(/Drop a file here/).setInputFiles(given.file);
    await page.getByText("As it would be stored").waitFor();
    assert.equal(await page.getByLabel("Position fills").inputValue(), "title");
    assert.equal(await page.getByLabel("Connected On fills").inputValue(), "");
    await accessible();
    await picture("mapping");
    await role("button", { name: "Check the whole file first" }).click();
    await page.getByText("Rows with a person", { exact: true }).waitFor();
    const told = page.waitForRequest((request) => /\/common\/jobs\/[^/]+\/events$/.test(request.url()));
    await role("button", { name: "Import", exact: true }).click();
    const stream = await (await told).response();
    assert.match(stream.headers()["content-type"], /^text\/event-stream/);
    await page.getByText("Records created", { exact: true }).waitFor();
    await page.getByText("Import completed").waitFor();
    await accessible();
    await picture("imported");
  });

  await doing("find by facets", async () => {
    await role("link", { name: "See the contacts" }).click();
    await box().fill("fieldcase");
    await page.getByText("40 contacts", { exact: true }).waitFor();
    await page.locator(".facets").getByLabel(/^Head of Sales/i).check();
    await page.getByText("10 contacts", { exact: true }).waitFor();
    await page.locator(".facets").getByLabel(/^Petrol Lab/i).check();
    await page.getByText("5 contacts", { exact: true }).waitFor();
    assert.equal(await rows().count(), 5);
    assert.match(page.url(), /q=fieldcase/);
    await accessible();
    await picture("facets");
  });

  await doing("Back takes a choice back", async () => {
    await page.goBack();
    await page.getByText("10 contacts", { exact: true }).waitFor();
    await page.goForward();
    await page.getByText("5 contacts", { exact: true }).waitFor();
  });

  let uuid;
  await doing("correct one while somebody else does", async () => {
    await rows().first().getByRole("link").first().click();
    await role("heading", { name: "Company" }).waitFor();
    await page.getByText("Created", { exact: true }).waitFor();
    await accessible();
    await picture("record");
    assert.match(await role("link", { name: "← Contacts" }).getAttribute("href"), /q=fieldcase&where=/);
    uuid = new URL(page.url()).hash.split("/").at(-1);
    await role("button", { name: "Edit" }).click();
    await page.getByLabel("Title").fill("Head of Sales, Europe");
    await accessible();
    await role("link", { name: "← Contacts" }).click();
    await page.getByText("Leave without saving?").waitFor();
    await accessible();
    await role("button", { name: "Stay" }).click();
    await page.goBack();
    await page.getByText("Leave without saving?").waitFor();
    await role("button", { name: "Stay" }).click();
    assert.equal(await page.getByLabel("Title").inputValue(), "Head of Sales, Europe");
    await api("PUT", `/contacts/${uuid}`, { city: "Utrecht" });
    await role("button", { name: "Save" }).click();
    await page.getByText("Somebody else changed this record").waitFor();
    await accessible();
    await picture("conflict");
    await role("button", { name: "Save mine over theirs" }).click();
    await page.locator(".history").getByText("Head of Sales, Europe").waitFor();
    const { data } = await api("GET", `/contacts/${uuid}`);
    assert.deepEqual([data.title, data.city], ["Head of Sales, Europe", "utrecht"]);
  });

  await doing("from a contact to its company and the people there", async () => {
    await role("link", { name: "Petrol Lab, Inc." }).click();
    await role("heading", { name: "Petrol Lab, Inc.", level: 1 }).waitFor();
    await page.locator(".history li").first().waitFor();
    await accessible();
    await role("link", { name: /^[0-9]+ contacts$/ }).click();
    await rows().first().waitFor();
    assert.match(await page.locator(".chips").innerText(), /Company ID/);
  });

  await doing("a condition with values while typing, and a chart", async () => {
    await role("link", { name: "Contacts", exact: true }).click();
    await role("button", { name: "Add a condition" }).click();
    await page.getByLabel("Field").selectOption("title");
    await page.getByLabel("Value", { exact: true }).fill("Head of Sales");
    await page.locator("#offered option[value='Head of Sales, Europe']").waitFor({ state: "attached" });
    await accessible();
    await page.getByLabel("Value", { exact: true }).fill("Head of Sales, Europe");
    await role("button", { name: "Add", exact: true }).click();
    await page.getByText("1 contact", { exact: true }).waitFor();
    await role("button", { name: /^Remove: Title/ }).click();
    await page.getByText("Counts as a chart").click();
    await page.locator(".bars tbody tr").nth(3).waitFor();
    await accessible();
    await picture("chart");
  });

  await doing("to the last page by cursor", async () => {
    await box().fill("fieldcase");
    await page.getByText("40 contacts", { exact: true }).waitFor();
    await page.getByText("1 to 25 of 40").waitFor();
    await role("button", { name: "Next" }).click();
    await page.getByText("26 to 40 of 40").waitFor();
    assert.equal(await role("button", { name: "Next" }).isDisabled(), true);
  });

  await doing("export the segment and download it", async () => {
    await page.locator(".facets").getByLabel(/^Buyer/i).check();
    await page.getByText("10 contacts", { exact: true }).waitFor();
    await role("button", { name: "Export" }).click();
    await accessible();
    await page.locator("dialog").getByRole("button", { name: "Export" }).click();
    const link = role("link", { name: "Download the file" });
    await link.waitFor();
    await accessible();
    const [content, name] = await downloaded(link);
    const lines = content.trim().split(/\r?\n/);
    assert.equal(lines.length, 11);
    assert.equal(lines[0], "first_name,last_name,title,company.name,email,city,country");
    assert.match(name, /[.]csv$/);
    await picture("exported");
  });

  await doing("rows that were rejected are downloaded", async () => {
    await role("link", { name: "Import", exact: true }).click();
    const buffer = Buffer.from("first_name,last_name,email\nRita,Rejection,rita@rejection.example\nMax,Rejection,max@rejection.example,one,too,many\n");
    await page.getByLabel(/Drop a file here/).setInputFiles({ name: "some.csv", mimeType: "text/csv", buffer });
    await page.getByText("1 would be rejected").waitFor();
    await role("button", { name: "Import", exact: true }).click();
    const link = role("link", { name: "Download the rejected rows" });
    await link.waitFor();
    await accessible();
    const [content] = await downloaded(link);
    assert.match(content, /max@rejection[.]example/);
    assert.ok(!content.includes("rita@"));
  });

  await doing("delete a record", async () => {
    const { data } = await api("POST", "/contacts/create", { first_name: "Dora", last_name: "Deleted", email: "dora@deleted.example" });
    await page.goto(`${given.gateway}/console#/contacts/${data.uuid}`);
    await role("heading", { name: "Dora Deleted" }).waitFor();
    await role("button", { name: "Delete" }).click();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
    await accessible();
    await api("PUT", `/contacts/${data.uuid}`, { city: "Delft" });
    const really = page.locator("dialog").getByRole("button", { name: "Delete" });
    await really.click();
    await page.getByText("Somebody else changed this record.").waitFor();
    assert.equal(await page.locator(".record dd").getByText("Delft").count(), 1);
    await accessible();
    await really.click();
    await rows().first().waitFor();
    await box().fill("Dora Deleted");
    await page.getByText("Nothing matches.").waitFor();
    await page.goto(`${given.gateway}/console#/contacts/${data.uuid}`);
    await page.getByText("It is not here").waitFor();
    await accessible();
  });

  await doing("jobs and the system", async () => {
    await role("link", { name: "Jobs", exact: true }).click();
    await role("link", { name: /^Import of/ }).first().waitFor();
    await accessible();
    await picture("jobs");
    await role("link", { name: "System" }).click();
    await page.getByText("Database (PostgreSQL)").waitFor();
    await page.locator(".busy").waitFor({ state: "detached" });
    await accessible();
    await picture("system");
  });

  await doing("keys: make one, see it once, change, rotate and revoke it", async () => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: given.gateway });
    const line = page.getByRole("row").filter({ hasText: "sales-list" });
    await role("button", { name: "New key" }).click();
    await page.getByLabel("Name", { exact: true }).fill("sales-list");
    for (const right of ["write", "import", "export"]) await role("checkbox", { name: new RegExp(`^${right}:`) }).uncheck();
    await page.getByLabel("Calls a minute").fill("600");
    await accessible();
    await role("button", { name: "Make the key" }).click();
    const key = await page.getByLabel("Key", { exact: true }).inputValue();
    assert.match(key, /^ctra_[0-9A-Za-z]{38}$/);
    await role("button", { name: "Copy" }).click();
    await page.getByText("Copied.").waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
    await accessible();
    await page.keyboard.press("Escape");
    await line.waitFor();
    assert.deepEqual(await line.getByRole("cell").nth(0).innerText(), "read");
    assert.ok(!(await page.content()).includes(key));
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "API keys");
    await accessible();
    await page.locator("section[aria-labelledby=keys]").evaluate((section) => section.scrollIntoView());
    await picture("keys");
    const answers = async () => (await fetch(`${given.gateway}/contacts/filters`, { headers: { "x-api-key": key } })).status;
    for (let i = 0; i < 50 && (await answers()) !== 200; i++) await page.waitForTimeout(100);
    assert.equal(await answers(), 200);

    await role("button", { name: "New key" }).click();
    await page.getByLabel("Name", { exact: true }).fill("sales-list");
    await role("button", { name: "Make the key" }).click();
    await page.getByText("there is already a client 'sales-list'").waitFor();
    await role("button", { name: "Cancel" }).click();

    await role("button", { name: "Change what sales-list may do" }).click();
    assert.equal(await page.getByLabel("Calls a minute").inputValue(), "600");
    await role("checkbox", { name: /^read:/ }).uncheck();
    await role("button", { name: "Save" }).click();
    await page.getByText("It may do nothing").waitFor();
    await role("checkbox", { name: /^write:/ }).check();
    await page.getByLabel("Calls a minute").fill("");
    await accessible();
    await role("button", { name: "Save" }).click();
    await line.getByText("as all").waitFor();
    assert.deepEqual(await line.getByRole("cell").nth(0).innerText(), "write");
    for (let i = 0; i < 50 && (await answers()) !== 403; i++) await page.waitForTimeout(100);
    assert.equal(await answers(), 403);

    await role("button", { name: "Rotate the key of sales-list" }).click();
    await accessible();
    await role("button", { name: "Make the key" }).click();
    assert.notEqual(await page.getByLabel("Key", { exact: true }).inputValue(), key);
    await role("button", { name: "Done" }).click();
    await line.getByText(/until/).waitFor();

    await role("button", { name: "Revoke sales-list" }).click();
    await accessible();
    await page.locator("dialog").getByRole("button", { name: "Revoke" }).click();
    await line.waitFor({ state: "detached" });
    for (let i = 0; i < 50 && (await answers()) !== 401; i++) await page.waitForTimeout(100);
    assert.equal(await answers(), 401);
  });

  await doing("keys that cannot be changed are shown", async () => {
    await page.route("**/common/keys", async (route) => {
      const answer = await route.fetch();
      const body = { ...(await answer.json()), writable: false, read_only_reason: "this gateway cannot write /etc/connectra/keys.json" };
      await route.fulfill({ response: answer, json: body });
    });
    await role("link", { name: "Jobs", exact: true }).click();
    await role("link", { name: "System" }).click();
    await page.getByText("this gateway cannot write /etc/connectra/keys.json").waitFor();
    assert.equal(await role("button", { name: "New key" }).count(), 0);
    await accessible();
    await page.unroute("**/common/keys");
  });

  await doing("by keyboard alone", async () => {
    await role("link", { name: "Contacts", exact: true }).press("Enter");
    await rows().first().waitFor();
    await page.keyboard.type("fieldcase");
    await page.getByText("40 contacts", { exact: true }).waitFor();
    for (let i = 0; i < 200 && !(await page.evaluate(() => document.activeElement.closest(".hits tbody th"))); i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await role("button", { name: "Edit" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
  });

  await doing("page after page by Enter", async () => {
    await role("link", { name: "Contacts", exact: true }).click();
    await page.getByText(/^1 to 25 of/).waitFor();
    await role("button", { name: "Next" }).focus();
    for (const from of [26, 51]) {
      await page.keyboard.press("Enter");
      await page.getByText(new RegExp(`^${from} to ${from + 24} of`)).waitFor();
    }
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Next");
    const seen = await page.evaluate(() => [document.activeElement, document.querySelector(".hits tbody tr")].every((one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    }));
    assert.ok(seen, "the button and the first row are in sight");
    await accessible();
  });

  await doing("on a phone", async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await role("link", { name: "Jobs", exact: true }).click();
    await role("link", { name: "Contacts", exact: true }).click();
    await rows().first().waitFor();
    await page.getByText(/[0-9] contacts$/).waitFor();
    await accessible();
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wider <= 0, `the page is ${wider} pixels wider than the phone`);
    await picture("phone");
    await rows().first().getByRole("link").first().click();
    await role("button", { name: "Edit" }).click();
    assert.equal(await page.locator(".edit").evaluate((form) => getComputedStyle(form).columnCount), "1");
    await accessible();
    await picture("phone-edit");
    await role("link", { name: "← Contacts" }).click();
    await rows().first().waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await doing("first hits after the last key", async () => {
    const taken = [];
    for (const word of ["sales", "manager", "berlin", "director", "head"]) {
      await box().fill("");
      await page.waitForTimeout(400);
      const answered = page.waitForResponse((answer) => new URL(answer.url()).pathname === "/contacts" && answer.request().postDataJSON().q === word && answer.request().postDataJSON().limit === 25);
      await box().pressSequentially(word);
      const began = Date.now();
      await answered;
      await page.locator(".hits:not([aria-busy])").waitFor();
      taken.push(Date.now() - began);
    }
    taken.sort((one, other) => one - other);
    console.log(`  milliseconds: ${taken.join(", ")}`);
    assert.ok(taken[2] < 1000);
  });

  await doing("a large file goes up in parts, breaks off and goes on", async () => {
    const sent = [], arrived = new Set();
    let lost = 0, held;
    page.on("response", (answer) => answer.request().method() === "PUT" && answer.ok() && arrived.add(new URL(answer.url()).searchParams.get("partNumber")));
    await page.route((url) => url.searchParams.has("partNumber"), async (route) => {
      const part = Number(new URL(route.request().url()).searchParams.get("partNumber"));
      if (route.request().method() !== "PUT") return route.continue();
      if (part === 1 && !lost++) return route.abort();
      sent.push(part);
      if (part === 3 && !held) return void (held = route); // it hangs
      await route.continue();
    });
    await role("link", { name: "Import", exact: true }).click();
    const most = page.getByText(/^7[0-9] %$/); // all but the part that hangs
    await page.getByLabel(/Drop a file here/).setInputFiles(given.large);
    await most.waitFor();
    for (let i = 0; i < 100 && arrived.size < 4; i++) await page.waitForTimeout(100);
    await accessible();
    await role("button", { name: "Stop" }).click();
    await page.getByText("Stopped.").waitFor();
    await accessible();
    await role("button", { name: "Go on" }).click();
    await page.getByText("As it would be stored").waitFor();
    assert.deepEqual(sent.sort(), [1, 2, 3, 3, 4, 5]);
    await page.unrouteAll({ behavior: "ignoreErrors" });
  });

  await doing("cancel a job, and run it again", async () => {
    await role("button", { name: "Import", exact: true }).click();
    await role("button", { name: "Cancel" }).click();
    await page.getByText("Cancelled", { exact: true }).waitFor();
    await accessible();
    await role("button", { name: "Run it again" }).click();
    await role("button", { name: "Cancel" }).waitFor();
    await role("link", { name: "Jobs", exact: true }).click();
    const line = page.locator("tbody tr").first();
    await line.getByText(/^(Waiting|Running)/).waitFor();
    const running = (await line.getByRole("link").getAttribute("href")).split("/").at(-1);
    await api("POST", `/common/jobs/${running}/cancel`);
    await line.getByText("Cancelled", { exact: true }).waitFor(); // without a reload
  });

  await doing("without a network it says so", async () => {
    await role("link", { name: "Contacts", exact: true }).click();
    await rows().first().waitFor();
    await context.setOffline(true);
    await box().fill("nobody");
    await page.locator(".hits").getByText("No connection to Connectra").waitFor();
    await accessible();
    await context.setOffline(false);
    await page.locator(".hits").getByRole("button", { name: "Try again" }).click();
    await page.getByText("Nothing matches.").waitFor();
    await context.setOffline(true);
    await role("link", { name: "Jobs", exact: true }).click();
    await page.locator("main").getByText("No connection to Connectra").waitFor();
    await accessible();
    await context.setOffline(false);
    await role("button", { name: "Try again" }).click();
    await role("link", { name: /^Import of/ }).first().waitFor();
  });

  await doing("what a key may not do is refused in words", async () => {
    await role("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").fill(given.reader);
    await page.keyboard.press("Enter");
    await rows().first().waitFor();
    await role("link", { name: "System" }).click();
    await page.getByText("Only for administrators.").waitFor();
    await page.locator(".busy").waitFor({ state: "detached" });
    assert.equal(await page.getByText("API keys").count(), 0);
    await page.goto(`${given.gateway}/console#/contacts/${uuid}`);
    await role("button", { name: "Edit" }).click();
    assert.equal(await role("link", { name: "← Contacts" }).getAttribute("href"), "#/contacts");
    await page.getByLabel("City", { exact: true }).fill("Delft");
    await role("button", { name: "Save" }).click();
    await page.getByText("Your key may not do this").waitFor();
    await accessible();
    await page.evaluate(() => (location.hash = "#/import"));
    await role("button", { name: "Leave", exact: true }).click();
    await page.getByLabel(/Drop a file here/).setInputFiles(given.file);
    await page.getByText("Your key may not do this").waitFor();
    await accessible();
  });

  await doing("nothing is kept", async () => {
    assert.ok(!page.url().includes(given.key));
    assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ""]);
    await page.reload();
    await page.getByLabel("API key").waitFor();
    assert.deepEqual([...hosts].sort(), [new URL(given.gateway).host, given.store].sort());
    assert.deepEqual(wrong, []);
  });
} catch (error) {
  await page.screenshot({ path: `${given.images}/failed.png`, fullPage: true }).catch(() => {});
  console.log(`${step}: ${error.stack}\nseen: ${wrong.join("\n")}\n${await page.locator("body").innerText().catch(() => "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
