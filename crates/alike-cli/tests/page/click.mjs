// Clicks through the page of a running `alike serve` as a person would, and stops at the first thing that is not as it
// should be. Needs playwright-core from npm and a Chromium; not part of `cargo test`, which needs nothing but Rust:
//
//   npm install playwright-core
//   CHROMIUM=/usr/bin/chromium node click.mjs http://127.0.0.1:8080 [FOLDER for screenshots] [PICTURE to search with]
//
// The server is to have a catalogue with titles; with encoders and --compare more is tried.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, folder, picture] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  await page.goto(url);
  await page.waitForSelector("#list .card");
  return { page, wrong };
}

const shot = (page, name) => folder && page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
const titles = (page, list) => page.$$eval(`#${list} .card h3`, (all) => all.map((h) => h.textContent));

const { page, wrong } = await open({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });
const model = await (await fetch(`${url}/v1/model`)).json();
await page.waitForLoadState("networkidle");
await shot(page, "people-light");

// A person nobody knows: likes change the list.
const stranger = `somebody-${Date.now()}`;
await page.fill("#user", stranger);
await page.click("#who button[type=submit]");
await page.waitForFunction((who) => document.getElementById("for").textContent.includes(who), stranger);
const before = await titles(page, "list");
await page.click("#list .card:nth-child(3) [aria-label^='Like']");
await page.waitForFunction(() => document.getElementById("note").textContent.startsWith("Liked"));
const liked = await titles(page, "history");
assert.deepEqual(liked, [before[2]], "what was liked is the history");
const after = await titles(page, "list");
assert.ok(!after.includes(before[2]), "what was liked is not recommended again");
await page.click("#list .card:nth-child(1) [aria-label^='Not for me']");
await page.waitForFunction(() => document.getElementById("note").textContent.startsWith("Hidden"));
assert.ok(!(await titles(page, "list")).includes(after[0]), "what was disliked is gone");
assert.ok((await page.textContent("#list .card .why")).startsWith("because of"), "reasons are given");

// By keyboard alone: from the first tab to the second.
await page.focus("#tab-people");
await page.keyboard.press("ArrowRight");
assert.equal(await page.getAttribute("#tab-catalogue", "aria-selected"), "true");

// The catalogue: by title, by what an item is like, by meaning, by picture.
const word = before[0].split(/\s+/)[0];
await page.fill("#words", word);
await page.click("#find button[type=submit]");
await page.waitForFunction(() => document.querySelectorAll("#found .card").length > 0);
assert.ok((await titles(page, "found")).some((t) => t.toLowerCase().includes(word.toLowerCase())));
await page.click("#found .card:first-child .face");
await page.waitForFunction(() => document.getElementById("found-head").textContent.startsWith("Items like"));
await page.waitForLoadState("networkidle");
await shot(page, "catalogue-light");
if (model.encoders.includes("text")) {
  await page.fill("#words", "a detective hunts a murderer");
  await page.click("#meaning");
  await page.waitForFunction(() => document.getElementById("found-head").textContent.startsWith("Nearest to"));
  assert.ok((await titles(page, "found")).length > 5);
  await page.waitForLoadState("networkidle");
  await shot(page, "meaning");
}
if (model.encoders.includes("image") && picture) {
  await page.setInputFiles("#picture", picture);
  await page.waitForFunction(() => document.getElementById("found-head").textContent.startsWith("Looks like"));
  assert.ok((await titles(page, "found")).length > 5);
  await page.waitForLoadState("networkidle");
  await shot(page, "picture");
}
if (model.compare) {
  await page.click("#tab-compare");
  const known = (await (await fetch(`${url}/v1/users?top=5`)).json()).users[0];
  await page.fill("#both-user", known);
  await page.click("#both button[type=submit]");
  await page.waitForFunction(() => document.getElementById("shared").textContent.includes("of 20"));
  assert.equal((await titles(page, "left")).length, (await titles(page, "right")).length);
  await page.waitForLoadState("networkidle");
  await shot(page, "compare");
}
await page.click("#tab-training");
assert.ok((await page.$$("#settings tbody tr")).length > 3, "settings are listed");
await shot(page, "training-light");

// Errors are said, not thrown.
await page.click("#tab-people");
await page.fill("#user", "x".repeat(300));
await page.click("#who button[type=submit]");
await page.waitForFunction(() => document.getElementById("note").textContent.includes("256"));
const refused = wrong.filter((text) => !text.includes("status of 4"));
assert.deepEqual(refused, [], "nothing went wrong in the page");

// Dark, and on a phone.
const phone = await open({ viewport: { width: 390, height: 800 }, colorScheme: "dark" });
await phone.page.waitForLoadState("networkidle");
const wide = await phone.page.evaluate(() => document.documentElement.scrollWidth);
assert.ok(wide <= 390, `the page is ${wide} pixels wide on a phone of 390`);
await shot(phone.page, "people-dark-phone");
await phone.page.click("#tab-training");
await shot(phone.page, "training-dark-phone");
await browser.close();
console.log("the page does what it should");
