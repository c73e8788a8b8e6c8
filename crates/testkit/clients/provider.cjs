// A person at a browser: Chromium with a profile of its own, driven one step at a time.
//
//   node provider.cjs PROFILE sign-in LINK     opens the link of the terminal and claims
//   node provider.cjs PROFILE allow URL        reads the consent page of an application, allows, and stays until the application has its answer
//   node provider.cjs PROFILE provider ROOT NAME LOGIN   signs in at the provider NAME, on the pages of the npm oidc-provider, as LOGIN
//   node provider.cjs PROFILE provider-away ROOT NAME    tries to, and is told that the provider cannot be reached
//   node provider.cjs PROFILE me ROOT TEXT               opens the account page, which must hold TEXT
//   node provider.cjs PROFILE each ROOT LOGIN CASES      goes through sign-ins as LOGIN, each in a browser of its own: CASES are lines of JSON
//       {name, set, words, about}: at the provider `name`, after a POST to `set`; refused with all of `words` on the page, and nobody is signed in
//       then; without `words`, LOGIN is
//
// NODE_PACKAGES names the folder with playwright-core, CHROMIUM the program.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require(path.join(process.env.NODE_PACKAGES, "node_modules", "playwright-core"));

// Chooses the provider NAME, and signs in on its pages where it asks.
async function chosen(page, address, name, login) {
  const home = new URL(address).host;
  await page.goto(`${address}/login`);
  await page.click(`form[action="/login/${name}"] button`);
  // The button leads to a page of ours, which leads on by itself, or says what is wrong.
  const field = page.locator('input[name="login"]');
  const problem = page.getByText("Nobody was signed in").first();
  await field.or(problem).waitFor();
  if (await problem.isVisible()) return home;
  await field.fill(login);
  await page.fill('input[name="password"]', "anything");
  await page.press('input[name="password"]', "Enter");
  await page.waitForSelector('input[name="login"]', { state: "detached" });
  // Whether this client may know the person: asked by the provider, once.
  await page.press('button[type="submit"]', "Enter");
  return home;
}

async function arrived(page, home) {
  await page.waitForURL((url) => url.host === home && !url.pathname.startsWith("/login"));
  if (page.url().includes("code=")) throw new Error(`the code is still in the address bar: ${page.url()}`);
}

// Other hosts than this one are not asked for anything.
const alone = (context) => context.route((url) => url.hostname !== "127.0.0.1", (route) => route.abort());

async function each(options, [address, login, file]) {
  const browser = await chromium.launch(options);
  for (const line of fs.readFileSync(file, "utf8").trim().split("\n")) {
    const { name, set, words, about } = JSON.parse(line);
    try {
      if (set && !(await fetch(set, { method: "POST" })).ok) throw new Error(`${set} is not known`);
      const context = await browser.newContext();
      context.setDefaultTimeout(15000);
      await alone(context);
      const page = await context.newPage();
      const home = await chosen(page, address, name, login);
      if (words) {
        for (const text of words) await page.getByText(text).first().waitFor();
        if (new URL(page.url()).host !== home) throw new Error(`that is not our page: ${page.url()}`);
        const session = (await context.cookies(address)).find((cookie) => cookie.name.includes("dw_session"));
        if (session) throw new Error(`a cookie: ${session.name}`);
        await page.goto(`${address}/me`);
        await page.locator("h1", { hasText: "Sign in" }).waitFor();
      } else {
        await arrived(page, home);
        if (!(await context.cookies(address)).some((cookie) => cookie.name.includes("dw_session"))) throw new Error("no cookie of a session");
        await page.goto(`${address}/me`);
        await page.getByText(`${login}@acme.example`).first().waitFor();
      }
      await context.close();
    } catch (error) {
      throw new Error(`${about}: ${error.stack ?? error}`);
    }
  }
  await browser.close();
}

async function main([profile, what, address, ...rest]) {
  const root = process.getuid?.() === 0;
  const options = { executablePath: process.env.CHROMIUM, args: root ? ["--no-sandbox"] : [] };
  if (what === "each") return each(options, [address, ...rest]);
  const context = await chromium.launchPersistentContext(profile, options);
  // The provider's pages look for fonts and pictures on the internet, and are never at rest without them.
  await alone(context);
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
    const home = await chosen(page, address, name, login);
    if (what === "provider-away") await page.getByText("The provider cannot be reached").first().waitFor();
    else await arrived(page, home);
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
