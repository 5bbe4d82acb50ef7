// A page in Chromium, with what `drive` in browser.py hands to a script.

import { createRequire } from "node:module";

export const given = JSON.parse(process.argv[2]);
export const require = createRequire(`${given.modules}/`);
const { chromium } = require("playwright-core");

/** `{browser, context, page}`. */
export async function opened() {
  const browser = await chromium.launch({
    executablePath: given.chromium,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "UTC" });
  context.setDefaultTimeout(30_000);
  return { browser, context, page: await context.newPage() };
}
