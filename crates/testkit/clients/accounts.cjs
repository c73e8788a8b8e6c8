// A person at a browser who connects an account at a third party, through the pages of the gateway: Chromium with a profile of its own.
//
//   node accounts.cjs PROFILE sign-in LINK              opens the link of the terminal and claims
//   node accounts.cjs PROFILE connect ROOT NAME LOGIN   connects the account LOGIN at the server NAME, on the pages of the npm oidc-provider
//   node accounts.cjs PROFILE asked URL WORDS...        opens the request of an application: it is our page, with all WORDS, and stays there
//   node accounts.cjs PROFILE disconnect ROOT NAME      takes the account back
//
// NODE_PACKAGES names the folder with playwright-core, CHROMIUM the program.
"use strict";
const path = require("node:path");
const { chromium } = require(path.join(process.env.NODE_PACKAGES, "node_modules", "playwright-core"));

async function connect(page, [root, name, login]) {
  await page.goto(`${root}/connect/${name}`);
  await page.click('button[name="action"][value="connect"]');
  const home = new URL(root).host;
  await page.waitForURL((url) => url.host !== home);
  // Whoever is known there is not asked again who they are.
  const field = page.locator('input[name="login"]');
  const button = page.locator('button[type="submit"]');
  await field.or(button).first().waitFor();
  if (await field.isVisible()) {
    await field.fill(login);
    await page.fill('input[name="password"]', "anything");
    await page.press('input[name="password"]', "Enter");
    await field.waitFor({ state: "detached" });
  }
  if (new URL(page.url()).host !== home) await page.press('button[type="submit"]', "Enter");
  await page.waitForURL((url) => url.host === home);
  await page.getByText("Connected.").first().waitFor();
}

async function main([profile, what, ...rest]) {
  const root = process.getuid?.() === 0;
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, args: root ? ["--no-sandbox"] : [] });
  context.setDefaultTimeout(15000);
  await context.route((url) => url.hostname !== "127.0.0.1", (route) => route.abort());
  const page = context.pages()[0] ?? (await context.newPage());
  if (what === "sign-in") {
    await page.goto(rest[0]);
    await page.waitForSelector("html.filled");
    await page.click("form button.main");
    await page.waitForURL((url) => !url.pathname.startsWith("/setup"));
  } else if (what === "connect") {
    await connect(page, rest);
  } else if (what === "asked") {
    const [address, ...words] = rest;
    const elsewhere = [];
    page.on("request", (request) => new URL(request.url()).host !== new URL(address).host && elsewhere.push(request.url()));
    await page.goto(address);
    await page.locator('button[name="decision"][value="allow"]').waitFor();
    for (const text of words) await page.getByText(text).first().waitFor();
    await page.waitForTimeout(1500);
    if (elsewhere.length > 0 || new URL(page.url()).host !== new URL(address).host) throw new Error(`it led to ${elsewhere.join(" ")} ${page.url()}`);
  } else if (what === "disconnect") {
    const [address, name] = rest;
    await page.goto(`${address}/connect/${name}`);
    await page.click('button[name="action"][value="disconnect"]');
    await page.getByText("Disconnected.").first().waitFor();
  } else {
    throw new Error(`what is ${what}?`);
  }
  await context.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.stack ?? error));
  process.exit(1);
});
