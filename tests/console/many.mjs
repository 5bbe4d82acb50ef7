// Searches, pages and opens records of which there are many, and says how long each took from the last key or click to what is seen.

import assert from "node:assert/strict";

import { given, opened } from "./browser.mjs";

const WORDS = [
  "sales", "manager", "hamburg", "director", "head of", "engineer", "lena", "marketing", "leeds", "vp sales", "software", "finance", "edinburgh", "chief",
  "officer", "pune", "schäfer", "nguyen", "atlanta", "recruit", "data", "analyst", "olivia brooks", "bristol", "hr", "it manager", "product", "germany sales",
  "foster", "köln",
];
const PAGES = 20;
// Somebody who types quickly.
const KEY_MILLISECONDS = 90;

const { browser, page } = await opened();
const taken = {};
const button = (name) => page.getByRole("button", { name, exact: true });
const rows = page.locator(".hits tbody tr");

/** By the clock of the page: what is between it and this script is not counted. */
async function measured(name, run, seen) {
  await page.evaluate(() => (globalThis.began = null));
  await run();
  await seen();
  const done = await page.evaluate(() => performance.now() - globalThis.began);
  (taken[name] ??= []).push(Math.round(done));
}

/** The last key or click begins it. */
const begin = () => {
  for (const event of ["keydown", "click", "change"]) addEventListener(event, () => (globalThis.began = performance.now()), { capture: true });
};

/** Waits in the page until a condition holds, looked at with every frame. */
const until = (condition, argument) => page.waitForFunction(condition, argument, { polling: "raf" });
const settled = () => until(() => document.querySelector(".hits tbody tr, .hits .state") && !document.querySelector(".hits[aria-busy]"));
const counted = () => until(() => document.querySelector(".count")?.textContent);

try {
  await page.addInitScript(begin);
  await page.goto(`${given.gateway}/console`);
  await page.getByLabel("API key").fill(given.key);
  await measured("sign in to first rows", () => page.keyboard.press("Enter"), settled);
  await counted();
  console.log(await page.locator(".count").innerText());

  const box = page.getByRole("searchbox", { name: "Search" });
  for (const word of WORDS) {
    await box.fill("");
    await page.waitForTimeout(300); // until the page looks for it
    await settled();
    await counted();
    // Until the rows are those of the word, not of a part of it.
    await measured("last key to first hits", () => box.pressSequentially(word, { delay: KEY_MILLISECONDS }), async () => {
      await until((typed) => new URLSearchParams(location.hash.split("?")[1]).get("q") === typed, word);
      await settled();
    });
    const from = await page.evaluate(() => globalThis.began);
    await counted();
    (taken["last key to facets and count"] ??= []).push(Math.round(await page.evaluate((began) => performance.now() - began, from)));
    if (!(await rows.count())) console.log(`nothing is found for ${word}`);
  }

  await box.fill("sales");
  await page.waitForTimeout(300);
  await settled();
  await counted();
  for (let i = 0; i < 5; i++) {
    const tick = page.locator(".facets input").nth(i);
    await measured("a facet to its hits", () => tick.click(), settled);
    await counted();
    await measured("and back", () => page.locator(".facets input:checked").first().click(), settled);
    await counted();
  }

  for (let number = 2; number <= PAGES; number++) {
    await measured("next page", () => button("Next").first().click(), () => until((from) => document.querySelector(".pager")?.textContent.includes(`${from} to `), (number - 1) * 25 + 1));
  }
  assert.match(await page.locator(".pager").first().innerText(), /476 to 500 of/);

  await button("Columns").click();
  await page.locator("dialog").getByLabel("Seniority", { exact: true }).check();
  await measured("other columns", () => button("Show these").click(), () => until(() => [...document.querySelectorAll(".hits thead th")].some((one) => one.textContent === "Seniority")));
  for (const name of ["Last Name", "Title", "City"]) {
    await measured("another order", () => page.locator(".hits thead").getByRole("button", { name }).click(), async () => {
      await until((head) => [...document.querySelectorAll(".hits th[aria-sort]")].some((one) => one.textContent.startsWith(head)), name);
      await settled();
    });
  }

  for (let i = 0; i < 10; i++) {
    await measured("open a record", () => rows.nth(i).getByRole("link").first().click(), () => until(() => document.querySelector(".record dl")));
    await page.locator(".history li").first().waitFor();
    await page.goBack();
    await settled();
  }

  for (const [name, all] of Object.entries(taken)) {
    all.sort((one, other) => one - other);
    const at = (part) => all[Math.min(all.length - 1, Math.floor(all.length * part))];
    console.log(`${name}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, of ${all.length}`);
  }
  assert.ok(taken["last key to first hits"].at(Math.floor(WORDS.length / 2)) < 1000);
} catch (error) {
  await page.screenshot({ path: `${given.images}/failed.png`, fullPage: true }).catch(() => {});
  console.log(`${error.stack}\n${JSON.stringify(taken)}\n${await page.locator("body").innerText().catch(() => "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
