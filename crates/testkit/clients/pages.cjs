// The driver of scripts/pages: serves what the gateway prints, opens it in Chromium and says what is wrong.
//
//   node pages.cjs FOLDER PICTURES [ONLY [STEP]]
//
// FOLDER holds index.json and the pages that the test `ui::tests::write_pages` wrote. NODE_PACKAGES names the folder with node_modules.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const modules = path.join(process.env.NODE_PACKAGES, "node_modules");
const { chromium } = require(path.join(modules, "playwright-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8");

const [folder, pictures, only = "", wish = ""] = process.argv.slice(2);
const index = JSON.parse(fs.readFileSync(path.join(folder, "index.json"), "utf8"));
const read = (name) => fs.readFileSync(path.join(folder, name), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"];
// In brief: what a change is most likely to break, within minutes.
const BRIEF = process.env.PAGES_BRIEF === "1";
const WIDTHS = BRIEF ? [360, 1180] : [360, 760, 1180];
const HOSTILE_STEP = BRIEF ? 10 : 1;
const CODE = "dwac_0123456789abcdefghijklmnopqrstuvwxyz";

const failures = [];
let checks = 0;
function check(holds, where, what) {
  checks += 1;
  if (!holds) {
    failures.push(`${where}: ${what}`);
    console.error(`FAIL ${where}: ${what}`);
  }
}

// What the server was asked by a form, and what it answers with: the name of a page.
const posts = [];
let answer = "handoff";
const callbacks = [];

function serve(handler) {
  return new Promise((resolve) => {
    const server = http.createServer(handler);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

function send(response, page, html) {
  response.writeHead(200, { ...page.headers, "content-type": "text/html; charset=utf-8" });
  response.end(html);
}

function gateway(callback) {
  const pages = new Map(index.pages.map((page) => [page.name, page]));
  return async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    if (request.method === "POST") {
      let body = "";
      for await (const part of request) body += part;
      posts.push({ path: url.pathname, fields: [...new URLSearchParams(body)], body });
      const html = read(`${answer}.html`).replaceAll("http://localhost:61036/callback", `http://127.0.0.1:${callback}/callback`);
      return send(response, pages.get(answer), html);
    }
    if (url.pathname + url.search === index.style || url.pathname + url.search === index.script) {
      const isStyle = url.pathname === "/style.css";
      response.writeHead(200, {
        "content-type": isStyle ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
      });
      return response.end(read(url.pathname.slice(1)));
    }
    const page = pages.get(url.pathname.slice(1));
    if (page) return send(response, page, read(`${page.name}.html`));
    response.writeHead(url.pathname === "/favicon.ico" ? 204 : 404);
    return response.end();
  };
}

// What a browser made of a page: every element and attribute, without text and values. Runs in the page.
function tree() {
  const lines = [];
  const walk = (element) => {
    lines.push(`${element.namespaceURI.split("/").pop()}:${element.localName}[${[...element.attributes].map((one) => one.name).join(" ")}]`);
    for (const child of element.children) walk(child);
  };
  walk(document.documentElement);
  return lines;
}

// Controls that are too small to hit. Runs in the page.
function small() {
  const controls = [...document.querySelectorAll("button, summary, select, textarea, input[type=text], a.button, label.tick, .who a, .after a")];
  return controls
    .filter((one) => one.checkVisibility())
    .filter((one) => one.getBoundingClientRect().height < 44)
    .map((one) => `${one.outerHTML.slice(0, 60)} is ${one.getBoundingClientRect().height} px high`);
}

// A page that tells what goes wrong in it, and where it wanted to go.
async function open(context, origin) {
  const page = await context.newPage();
  const seen = { errors: [], left: [] };
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("dialog", (dialog) => (seen.errors.push(`dialog ${dialog.message()}`), dialog.dismiss()));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  const cdp = await context.newCDPSession(page);
  await cdp.send("Page.enable");
  cdp.on("Page.frameRequestedNavigation", (event) => seen.left.push(event.url));
  // Nothing leaves this machine: other hosts answer with nothing, and the page stays.
  await page.route(
    (url) => url.origin !== origin && url.hostname !== "127.0.0.1",
    (route) => (seen.left.push(route.request().url()), route.fulfill({ status: 204 })),
  );
  return { page, seen };
}

async function looks(browser, origin, samples) {
  for (const scheme of ["light", "dark"]) {
    const context = await browser.newContext({ colorScheme: scheme, reducedMotion: "reduce" });
    const { page, seen } = await open(context, origin);
    for (const sample of samples) {
      for (const width of WIDTHS) {
        const where = `${sample.name} ${scheme} ${width}`;
        await page.setViewportSize({ width, height: 800 });
        await page.goto(`${origin}/${sample.name}`);
        await page.screenshot({ path: path.join(pictures, `${sample.name}-${scheme}-${width}.png`), fullPage: true });
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check(sideways <= 0, where, `scrolls ${sideways} px sideways`);
        for (const one of await page.evaluate(small)) check(false, where, one);
        await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check(wider <= 0, where, `opened, scrolls ${wider} px sideways`);
        for (const one of await page.evaluate(small)) check(false, where, one);
        await page.evaluate(axe);
        const found = await page.evaluate((tags) => axe.run(document, { runOnly: tags, resultTypes: ["violations"] }), RULES);
        check(true, where, "");
        for (const violation of found.violations) {
          check(false, where, `${violation.id}: ${violation.help}: ${violation.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
        }
        if (width === 360) await page.screenshot({ path: path.join(pictures, `${sample.name}-${scheme}-open.png`), fullPage: true });
      }
      // Opened by hand, not by a click: the browser starts no program then, and says so.
      const errors = seen.errors.filter((text) => !text.includes("because a user gesture is required"));
      check(errors.length === 0, `${sample.name} ${scheme}`, errors.join(" | "));
      seen.errors.length = 0;
    }
    await context.close();
  }
}

async function forced(browser, origin, samples) {
  const context = await browser.newContext({ forcedColors: "active", colorScheme: "dark", viewport: { width: 760, height: 800 } });
  const { page } = await open(context, origin);
  for (const sample of samples) {
    await page.goto(`${origin}/${sample.name}`);
    await page.screenshot({ path: path.join(pictures, `${sample.name}-forced.png`), fullPage: true });
  }
  await context.close();
}

async function hostile(browser, origin, samples) {
  const context = await browser.newContext({ viewport: { width: 360, height: 800 } });
  const { page, seen } = await open(context, origin);
  for (const sample of samples) {
    await page.goto(`${origin}/${sample.name}`);
    const plain = (await page.evaluate(tree)).join("\n");
    const bads = index.pages.filter((one) => one.kind === "hostile" && one.name.startsWith(`${sample.name}.`));
    for (const bad of bads.filter((_, at) => at % HOSTILE_STEP === 0)) {
      seen.left.length = 0;
      await page.goto(`${origin}/${bad.name}`, { waitUntil: "load" });
      const [shape, hit, sideways] = [
        (await page.evaluate(tree)).join("\n"),
        await page.evaluate(() => window.hit),
        await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
      ];
      check(shape === plain, bad.name, "has other elements or attributes than without it");
      check(hit === undefined, bad.name, "a script ran");
      check(sideways <= 0, bad.name, `scrolls ${sideways} px sideways`);
      const strange = seen.left.filter((url) => !/^(http:\/\/localhost:61036|https:\/\/chatgpt\.com|https:\/\/idp\.acme\.example|cursor:\/\/anysphere\.cursor-mcp)\//.test(url));
      check(strange.every((url) => url.startsWith(`${origin}/${sample.name}`)), bad.name, `wants to go to ${strange.join(" ")}`);
    }
    const errors = seen.errors.filter((text) => !text.includes("because a user gesture is required"));
    check(errors.length === 0, `${sample.name} hostile`, errors.slice(0, 3).join(" | "));
    seen.errors.length = 0;
  }
  await context.close();
}

const chosen = (fields, name) => fields.filter(([key]) => key === name).map(([, value]) => value);

async function decisions(browser, origin) {
  const context = await browser.newContext();
  const { page, seen } = await open(context, origin);
  const last = () => posts[posts.length - 1] ?? { fields: [] };
  const back = async (what) => {
    await page.waitForURL((url) => url.pathname === "/callback", { timeout: 5000 }).catch(() => {});
    check(callbacks.length === 1 && callbacks[0].url.startsWith(`/callback?code=${CODE}`), what, `the answer did not arrive: ${callbacks.length}`);
    check(callbacks.every((one) => one.referer === undefined), what, "the callback sees where the browser came from");
    callbacks.length = 0;
  };

  answer = "handoff";
  await page.goto(`${origin}/consent-local`);
  await page.click("button[value=allow]");
  await back("allow");
  check(chosen(last().fields, "decision").join() === "allow", "allow", last().body);
  check(chosen(last().fields, "grant").join() === "github:read,linear:read,warehouse:read", "allow", last().body);
  check(chosen(last().fields, "duration").join() === "30d" && chosen(last().fields, "txn").join() === "t1cket", "allow", last().body);
  check(chosen(last().fields, "csrf").join() === "c5rf" && chosen(last().fields, "account").length === 1, "allow", last().body);

  for (const field of ["input[name=grant]", "input[name=duration]"]) {
    await page.goto(`${origin}/consent-local`);
    await page.focus(field);
    await page.keyboard.press("Enter");
    await back(`Enter in ${field}`);
    check(chosen(last().fields, "decision").join() === "cancel", `Enter in ${field}`, last().body);
  }

  await page.goto(`${origin}/consent-local`);
  check(await page.evaluate(() => document.activeElement === document.body), "consent", "something has the focus");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(200);
  check(new URL(page.url()).pathname === "/consent-local", "consent", "Enter on the page alone decides");

  answer = "paste";
  await page.goto(`${origin}/consent-local`);
  await page.click("summary:has-text('another computer')");
  await page.click("button[value=remote]");
  await page.waitForSelector("textarea");
  check(chosen(last().fields, "decision").join() === "remote", "remote", last().body);
  check((await page.inputValue("textarea")).includes(CODE) && callbacks.length === 0, "remote", "shows the address and goes nowhere");

  answer = "handoff-denied";
  await page.goto(`${origin}/consent-different-site`);
  const before = posts.length;
  await page.click("button[value=allow]");
  await page.waitForTimeout(200);
  check(posts.length === before, "second tick", "the form went without it");
  await page.click("button[value=cancel]");
  await page.waitForTimeout(500);
  check(posts.length === before + 1 && chosen(last().fields, "decision").join() === "cancel", "second tick", "Cancel works without it");
  check(seen.left.some((url) => url.startsWith("https://chatgpt.com/connector/oauth?code=")), "hand-off to https", seen.left.join(" "));

  answer = "signin-providers";
  await page.goto(`${origin}/consent-local`);
  await page.click("button[value=other-user]");
  await page.waitForSelector("h1:has-text('Sign in')");
  check(chosen(last().fields, "decision").join() === "other-user" && chosen(last().fields, "grant").length === 0, "not you?", last().body);

  answer = "handoff-program";
  seen.left.length = 0;
  await page.goto(`${origin}/consent-program`);
  await page.click("button[value=allow]");
  await page.waitForTimeout(500);
  check(seen.left.some((url) => url.startsWith("cursor://anysphere.cursor-mcp/oauth/callback?code=")), "hand-off to a program", seen.left.join(" "));

  await context.close();
}

async function setup(browser, origin) {
  const context = await browser.newContext();
  const { page, seen } = await open(context, origin);
  answer = "home";
  await page.goto(`${origin}/setup#k3J9-Qw7b`);
  check(page.url() === `${origin}/setup`, "setup", `the secret stays in the address bar: ${page.url()}`);
  check((await page.inputValue("#code")) === "k3J9-Qw7b" && !(await page.isVisible("#code")), "setup", "the script fills the form");
  await page.screenshot({ path: path.join(pictures, "setup-filled.png"), fullPage: true });
  await page.click("button[type=submit]");
  await page.waitForSelector("h1:has-text('Connect')");
  check(chosen(posts[posts.length - 1].fields, "code").join() === "k3J9-Qw7b", "setup", posts[posts.length - 1].body);
  check(seen.errors.length === 0, "setup", seen.errors.join(" | "));
  await context.close();

  const plain = await browser.newContext({ javaScriptEnabled: false });
  const still = await plain.newPage();
  await still.goto(`${origin}/setup#k3J9-Qw7b`);
  check(await still.isVisible("#code"), "setup without script", "the field is not there");
  await still.fill("#code", "k3J9-Qw7b");
  await still.click("button[type=submit]");
  await still.waitForSelector("h1:has-text('Connect')");
  check(chosen(posts[posts.length - 1].fields, "code").join() === "k3J9-Qw7b", "setup without script", posts[posts.length - 1].body);
  await plain.close();
}

async function keyboard(browser, origin, samples) {
  const context = await browser.newContext({ viewport: { width: 760, height: 800 } });
  for (const sample of samples) {
    // A page that asked to start a program takes no keys any more.
    const { page } = await open(context, origin);
    await page.goto(`${origin}/${sample.name}`);
    await page.keyboard.press("Tab");
    const stops = [];
    for (let turn = 0; turn < 80; turn += 1) {
      const stop = await page.evaluate(() => {
        const one = document.activeElement;
        if (one === null || one === document.body) return null;
        const style = getComputedStyle(one);
        const wide = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 3 && parseFloat(style.outlineOffset) >= 2;
        return { what: one.outerHTML.slice(0, 80), wide };
      });
      if (stop === null) break;
      stops.push(stop);
      check(stop.wide, `${sample.name} by keyboard`, `the focus does not show on ${stop.what}`);
      await page.keyboard.press("Tab");
    }
    const isError = sample.name.startsWith("setup-old") || /too-quick|different-site|program|device-again|device-wrong|connect-wrong/.test(sample.name);
    check(isError || /class="skip"/.test(stops[0]?.what ?? ""), `${sample.name} by keyboard`, `begins with ${stops[0]?.what}`);
    await page.close();
  }
  await context.close();
}

async function frames(browser, origin) {
  const evil = await serve((request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<iframe src="${origin}/consent-local"></iframe><object data="${origin}/consent-local"></object><embed src="${origin}/consent-local">`);
  });
  const context = await browser.newContext();
  const page = await context.newPage();
  const refused = [];
  page.on("console", (message) => refused.push(message.text()));
  await page.goto(`http://localhost:${evil.address().port}/`).catch(() => {});
  await page.waitForTimeout(500);
  const shown = [];
  for (const frame of page.frames().slice(1)) shown.push(await frame.evaluate(() => document.querySelector("button") !== null).catch(() => false));
  check(shown.length > 0 && shown.every((one) => !one), "frame of another site", `shows the page: ${shown}`);
  check(refused.some((text) => text.includes("frame-ancestors")), "frame of another site", `the browser does not say why: ${refused.join(" | ")}`);
  await context.close();
  evil.close();
}

async function main() {
  const callback = await serve((request, response) => {
    if (request.url !== "/favicon.ico") callbacks.push({ url: request.url, referer: request.headers.referer });
    response.end("ok");
  });
  const server = await serve(gateway(callback.address().port));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const root = process.getuid?.() === 0;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: root ? ["--no-sandbox"] : [] });
  const samples = index.pages.filter((page) => page.kind === "sample" && page.name.includes(only));
  const steps = { looks, ...(BRIEF ? {} : { forced }), ...(only ? {} : { keyboard, decisions, setup, frames, hostile }) };
  for (const [name, step] of Object.entries(steps).filter(([name]) => wish === "" || wish === name)) {
    const began = Date.now();
    await step(browser, origin, samples);
    console.log(`${name}: ${((Date.now() - began) / 1000).toFixed(0)} s, ${failures.length} failures so far`);
  }
  await browser.close();
  server.close();
  callback.close();
  console.log(`${samples.length} pages, ${checks} checks, ${failures.length} failures; pictures in ${pictures}`);
  process.exit(failures.length === 0 ? 0 : 1);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
