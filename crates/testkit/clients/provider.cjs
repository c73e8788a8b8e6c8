// A person at a browser: Chromium with a profile of its own, driven one step at a time.
//
//   node browser.cjs PROFILE sign-in LINK     opens the link of the terminal and claims
//   node browser.cjs PROFILE allow URL        reads the consent page of an application, allows, and stays until the application has its answer
//   node browser.cjs PROFILE provider ROOT NAME LOGIN   signs in at the provider NAME, on the pages of the npm oidc-provider, as LOGIN
//   node browser.cjs PROFILE provider-away ROOT NAME    tries to, and is told that the provider cannot be reached
//   node browser.cjs PROFILE me ROOT TEXT               opens the account page, which must hold TEXT
//
// NODE_PACKAGES names the folder with playwright-core, CHROMIUM the program.
"use strict";
const path = require("node:path");
const { chromium } = require(path.join(process.env.NODE_PACKAGES, "node_modules", "playwright-core"));

async function main([profile, what, address, ...rest]) {
  const root = process.getuid?.() === 0;
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    args: root ? ["--no-sandbox"] : [],
  });
  // The provider's pages look for fonts and pictures on the internet, and are never at rest without them.
  await context.route((url) => url.hostname !== "127.0.0.1", (route) => route.abort());
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(`${message.text()} (${message.location().url})`));
  page.on("pageerror", (error) => complaints.push(String(error)));
  if (what === "sign-in") {
    await page.goto(address);
    await page.waitForSelector("html.filled");
    if (page.url().includes("#")) throw new Error(`the secret is still in the address bar: ${page.url()}`);
    await page.click("form button.main");
    await page.waitForURL((url) => !url.pathname.startsWith("/setup"));
  } else if (what === "provider" || what === "provider-away") {
    const [name, login] = rest;
    const home = new URL(address).host;
    await page.goto(`${address}/login`);
    await page.click(`form[action="/login/${name}"] button`);
    if (what === "provider-away") {
      await page.getByText("The provider cannot be reached").first().waitFor();
    } else {
      // The button leads to a page of ours, which leads on by itself.
      await page.waitForURL((url) => url.host !== home);
      await page.fill('input[name="login"]', login);
      await page.fill('input[name="password"]', "anything");
      await page.press('input[name="password"]', "Enter");
      await page.waitForSelector('input[name="login"]', { state: "detached" });
      // Whether this client may know the person: asked by the provider, once.
      await page.press('button[type="submit"]', "Enter");
      await page.waitForURL((url) => url.host === home && !url.pathname.startsWith("/login"));
      if (page.url().includes("code=")) throw new Error(`the code is still in the address bar: ${page.url()}`);
    }
  } else if (what === "me") {
    await page.goto(`${address}/me`);
    await page.getByText(rest[0]).first().waitFor();
  } else {
    await page.goto(address);
    const allow = page.locator('button[name="decision"][value="allow"]');
    await allow.waitFor();
    // Longer than the gateway demands, as somebody who reads takes.
    await page.waitForTimeout(900);
    const home = new URL(page.url()).host;
    await allow.click();
    await page.waitForURL((url) => url.host !== home, { timeout: 15000 });
    await page.waitForLoadState("load");
  }
  // The callback of a client may have nothing to show in a tab.
  const ours = complaints.filter((text) => !text.includes("/favicon.ico") && (!what.startsWith("provider") || text.includes(`(${address}/`)));
  // A page that says 503 is one more line in the console.
  if (ours.length > 0 && what !== "provider-away") throw new Error(`the page complains: ${ours.join(" | ")}`);
  await context.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.stack ?? error));
  process.exit(1);
});
