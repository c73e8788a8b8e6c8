// A person at a browser.
//
//   node browser.cjs LINK SPOOL    opens the link of the terminal and claims; then opens each address that a file `*.url` of the folder
//                                  SPOOL holds: reads the consent page of an application, allows, and stays until the application has its
//                                  answer. Prints one line for each, and ends with its parent.
//
// NODE_PACKAGES names the folder with playwright-core, CHROMIUM the program.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require(path.join(process.env.NODE_PACKAGES, "node_modules", "playwright-core"));

/**
 * Opens a page for one errand; a complaint about a page of the gateway is an error. What a client shows in a tab is its own. The cookies
 * stay, and every connection ends with the errand: clients wait for that with those to their own callback.
 */
async function errand(browser, cookies, address, work) {
  const context = await browser.newContext({ storageState: cookies });
  context.setDefaultTimeout(60000);
  const page = await context.newPage();
  const home = new URL(address).host;
  const complaints = [];
  page.on("console", (message) => {
    const where = message.location().url;
    if (message.type() === "error" && where.includes(home) && !where.endsWith("/favicon.ico")) complaints.push(`${message.text()} (${where})`);
  });
  page.on("pageerror", (error) => page.url().includes(home) && complaints.push(String(error)));
  try {
    await page.goto(address);
    await work(page, home);
    if (complaints.length > 0) throw new Error(`the page complains: ${complaints.join(" | ")}`);
    return await context.storageState();
  } finally {
    await context.close();
  }
}

async function signIn(page) {
  await page.waitForSelector("html.filled");
  if (page.url().includes("#")) throw new Error(`the secret is still in the address bar: ${page.url()}`);
  await page.click("form button.main");
  await page.waitForURL((url) => !url.pathname.startsWith("/setup"));
}

async function allow(page, home) {
  const button = page.locator('button[name="decision"][value="allow"]');
  await button.waitFor({ timeout: 60000 });
  // What changes something is never ticked beforehand; this person allows what the application asks for by name.
  const asked = (new URL(page.url()).searchParams.get("scope") ?? "").split(" ");
  for (const scope of asked.filter((scope) => /:(write|destructive)$/.test(scope))) {
    const box = page.locator(`input[name="grant"][value="${scope}"]`);
    if (await box.isChecked()) throw new Error(`${scope} was ticked beforehand`);
    await box.check();
  }
  // Longer than the gateway demands, as somebody who reads takes.
  await page.waitForTimeout(900);
  await button.click();
  await page.waitForURL((url) => url.host !== home, { timeout: 60000 });
  await page.waitForLoadState("load");
}

async function main([link, spool]) {
  const root = process.getuid?.() === 0;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: root ? ["--no-sandbox"] : [], handleSIGTERM: false });
  process.on("SIGTERM", () => browser.close().finally(() => process.exit(0)));
  let cookies = await errand(browser, undefined, link, signIn);
  console.log("signed in");
  const parent = process.ppid;
  while (process.ppid === parent) {
    const next = fs.readdirSync(spool).filter((name) => name.endsWith(".url")).sort()[0];
    if (next === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    const address = fs.readFileSync(path.join(spool, next), "utf8");
    fs.unlinkSync(path.join(spool, next));
    try {
      cookies = await errand(browser, cookies, address, allow);
      console.log("allowed");
    } catch (error) {
      console.log(`could not allow: ${String(error.stack ?? error)}`);
    }
  }
  await browser.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.stack ?? error));
  process.exit(1);
});
