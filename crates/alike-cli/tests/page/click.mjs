// Clicks through the page of a running `alike serve` as people would, with the pointer, with keys alone, on a phone and
// in the dark, and stops at the first thing that is not as it should be. Needs playwright-core from npm and a Chromium;
// not part of `cargo test`, which needs nothing but Rust:
//
//   npm install playwright-core axe-core
//   CHROMIUM=/usr/bin/chromium node click.mjs http://127.0.0.1:8080 [FOLDER for screenshots] [PICTURE to search with]
//
// The server is to have a catalogue with titles; with encoders and --compare more is tried. With axe-core every view is
// looked through for what keeps people out. The one person that is written about is forgotten at the end.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [url, folder, picture] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const axe = (() => {
  try {
    return readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  } catch {
    return null;
  }
})();
console.log(axe ? "with axe-core" : "without axe-core: npm install axe-core");

const get = async (path) => (await fetch(url + path)).json();
const model = await get("/v1/model");
const history = async (user) => (await fetch(`${url}/v1/users/${encodeURIComponent(user)}/history?top=1000`)).text();

/** Somebody whom the model was trained on. */
let known = null;
for (const user of (await get("/v1/users?top=1000")).users) {
  const past = JSON.parse(await history(user));
  if (past.trained && past.count > 3) known = user;
  if (known) break;
}
assert.ok(known, "the model knows somebody");

/** What only reads although it is sent by POST. */
const READS = ["/v1/page", "/v1/recommendations", "/v1/items/search"];

/** Requests on their way, by page. */
const pending = new Map();

async function open(options, at = "/") {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const [wrong, written] = [[], []];
  page.on("pageerror", (error) => wrong.push(String(error)));
  // That somebody is new, or a route is not there, browsers report as an error.
  page.on(
    "console",
    (message) => message.type() === "error" && !message.text().includes("status of 404") && wrong.push(message.text()),
  );
  page.on("request", (request) => {
    const path = new URL(request.url()).pathname;
    if (request.method() !== "GET" && !READS.includes(path)) written.push(`${request.method()} ${path}`);
  });
  pending.set(page, 0);
  const count = (by) => () => pending.set(page, pending.get(page) + by);
  page.on("request", count(1));
  page.on("requestfinished", count(-1));
  page.on("requestfailed", count(-1));
  await page.goto(url + at);
  await settled(page);
  return { page, wrong, written };
}

/** Waits until the view that the address names is there, and nothing is on its way. */
async function settled(page) {
  for (let quiet = 0; quiet < 4;) {
    await page.waitForTimeout(25);
    await page.waitForFunction(() => !document.querySelector("main[aria-busy]") && document.querySelector("main h1"));
    quiet = pending.get(page) > 0 ? 0 : quiet + 1;
  }
}

async function go(page, action) {
  await action();
  await settled(page);
}

const heading = (page) => page.textContent("main h1");
const focused = (page) => page.evaluate(() => document.activeElement?.tagName);
const rowOf = (page, name) =>
  page.$$eval(`[data-scroller="${name}"] > li .go`, (all) =>
    all.map((link) => decodeURIComponent(link.hash.slice("#/item/".length))),
  );
const rowNames = (page) => page.$$eval("[data-scroller]", (all) => all.map((list) => list.dataset.scroller));
const shot = (page, name) => folder && page.screenshot({ path: `${folder}/${name}.png` });

/** Nothing keeps anybody out, and nothing is wider than the window. */
async function sound(page, name) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${name} is ${wide} pixels wide in a window of ${window}`);
  if (!axe) return;
  await page.evaluate(axe);
  const found = await page.evaluate(async () =>
    (await globalThis.axe.run()).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`),
  );
  assert.deepEqual(found, [], `${name}: axe`);
}

// --- By clicking, light, on a desk -----------------------------------------------------------------------------------

const desk = { viewport: { width: 1280, height: 900 }, colorScheme: "light", bypassCSP: true };
const { page, wrong, written } = await open(desk);
assert.match(page.url(), /#\/person\/.+/, "the start shows somebody");
await shot(page, "person-light");

for (const [name, title] of [
  ["Catalogue", "Catalogue"],
  ["Compare", "Compare"],
  ["Data", "Data"],
  ["Training", "Training"],
  ["Rules", "Rules"],
  ["Tests", "A/B tests"],
  ["People", null],
]) {
  await go(page, () => page.click(`nav >> text="${name}"`));
  assert.equal(await page.getAttribute(`nav >> text="${name}"`, "aria-current"), "page");
  if (title) assert.ok((await heading(page)).startsWith(title), name);
  assert.equal(await focused(page), "H1", `${name}: the heading has the focus`);
  assert.match(await page.title(), / – alike$/);
  await sound(page, name);
  await shot(page, `${name.toLowerCase()}-light`);
}

// Somebody new: rows at once, and what is tried out changes them; the server knows nothing of it.
const stranger = `somebody-${Date.now()}`;
await page.fill(".picker input", stranger);
await go(page, () => page.click(".picker button[type=submit]"));
assert.equal(await heading(page), stranger);
assert.match(await page.textContent(".lead"), /is new: like something/);
const [first] = await rowNames(page);
const before = await rowOf(page, first);
await go(page, () => page.click(`[data-scroller="${first}"] > li:nth-child(2) .like`));
assert.match(await page.textContent("#note"), /^Liked: .* nothing is written\.$/);
assert.deepEqual(await rowOf(page, "taken"), [before[1]], "what was liked is what they have");
assert.ok((await rowNames(page)).includes("for-you"), "there are recommendations now");
const mine = await rowOf(page, "for-you");
assert.ok(!mine.includes(before[1]), "what was liked is not recommended again");
await go(page, () => page.click(`[data-scroller="for-you"] > li:nth-child(1) .dislike`));
assert.ok(!(await rowOf(page, "for-you")).includes(mine[0]), "what was disliked is gone");
assert.match(await page.textContent("#banner"), /nothing is written.*1 like, 1 dislike here/);
await sound(page, "tried out");
await go(page, () => page.reload());
assert.deepEqual(new Set(await rowOf(page, "taken")), new Set([before[1], mine[0]]), "trying out outlives a reload");
await go(page, () => page.click("#banner button"));
assert.ok(!(await rowNames(page)).includes("taken"), "what was tried is forgotten");

// Somebody whom the model knows: trying out leaves what the server has of them as it was.
const whole = await history(known);
await go(page, () => page.goto(`${url}/#/person/${encodeURIComponent(known)}`));
await go(page, () => page.click(`[data-scroller="for-you"] > li:nth-child(1) .like`));
await go(page, () => page.click(`[data-scroller="for-you"] > li:nth-child(2) .dislike`));
assert.equal(await history(known), whole, "trying out wrote something");
assert.deepEqual(written, [], "trying out sent something to write");
await go(page, () => page.click("#banner button"));

// All of a list, by category and variety.
await go(page, () => page.click("text=See all"));
assert.ok((await page.$$(".grid .card")).length > 12);
await sound(page, "list");
await go(page, () => page.click(".crumbs a"));
assert.equal(await heading(page), known);

// An item, and the ways back: Back with its place, the breadcrumb, a reload, a link.
await page.evaluate(() => scrollTo(0, 420));
await page.waitForTimeout(400);
const place = await page.evaluate(() => scrollY);
const item = (await rowOf(page, "for-you"))[2];
// The pointer would scroll there first.
await go(page, () => page.$eval(`[data-scroller="for-you"] > li:nth-child(3) .go`, (link) => link.click()));
assert.equal(new URL(page.url()).hash, `#/item/${encodeURIComponent(item)}`);
assert.equal(await focused(page), "H1");
assert.match(await page.textContent(".why-panel"), /number \d+ in|not among the first/);
const name = await heading(page);
await sound(page, "item");
await shot(page, "item-light");
await go(page, () => page.goBack());
assert.equal(await heading(page), known);
assert.ok(Math.abs((await page.evaluate(() => scrollY)) - place) < 4, "Back scrolls back");
await go(page, () => page.goForward());
assert.equal(await heading(page), name);
await go(page, () => page.reload());
assert.equal(await heading(page), name, "a reload shows the same");
await go(page, () => page.goBack());
await go(page, () => page.click(`[data-scroller="for-you"] > li:nth-child(3) .go`));
assert.equal(await page.textContent(".crumbs a"), known);
await go(page, () => page.click(".crumbs a"));
assert.equal(await heading(page), known);
const steps = `[data-key="for-you/step1"]`;
if (await page.isVisible(steps)) {
  await page.click(steps);
  await page.waitForFunction(() => document.querySelector('[data-scroller="for-you"]').scrollLeft > 50);
}

// The catalogue: never blank; by category, by title, by meaning, by picture.
await go(page, () => page.click("nav >> text=Catalogue"));
assert.ok((await page.$$("main .card")).length > 5, "the catalogue is not blank");
if (model.categories.length) {
  await go(page, () => page.click(".chips li:nth-child(2) a"));
  assert.match(page.url(), /category=/);
  assert.ok((await page.$$(".grid .card")).length > 0);
  await sound(page, "category");
}
const word = name.split(/\s+/)[0];
await go(page, () => page.goto(`${url}/#/catalogue`));
await page.fill(".finder input", word);
await go(page, () => page.press(".finder input", "Enter"));
const found = await page.$$eval(".grid .go", (all) => all.map((link) => link.textContent));
assert.ok(
  found.some((text) => text.toLowerCase().includes(word.toLowerCase())),
  `titles with ${word}`,
);
if (model.encoders.includes("text")) {
  await page.selectOption(".finder select", "meaning");
  await page.fill(".finder input", word);
  await go(page, () => page.click(".finder button"));
  assert.match(page.url(), /by=meaning/);
  assert.ok((await page.$$(".grid .card")).length > 5);
}
if (model.encoders.includes("image") && picture) {
  await go(page, () => page.setInputFiles("#picture", picture));
  await page.waitForFunction(() => document.querySelector("main h2")?.textContent.startsWith("Looks like"));
  assert.ok((await page.$$(".grid .card")).length > 5);
  await shot(page, "picture");
}

// Compare takes the person along.
await go(page, () => page.click("nav >> text=Compare"));
assert.match(await heading(page), new RegExp(known));
if (model.compare) assert.match(await page.textContent("#shared"), /\d+ of 20 are in both lists/);
else assert.match(await page.textContent("main"), /--compare/);

// Rules: tried at once, written down, and in the address.
await go(page, () => page.click("nav >> text=Rules"));
await page.click("#add-limits");
await page.fill("#set-limits input", "1");
await page.waitForFunction(() =>
  document.querySelectorAll(".copy pre")[1]?.textContent.includes('limits = [{ key = "category", most = 1 }]'),
);
await sound(page, "rules");
await shot(page, "rules-light");
await go(page, () => page.reload());
assert.equal(await page.inputValue("#set-limits input"), "1", "rules outlive a reload");
await page.click("#set-limits .act");
await page.waitForSelector("text=No rule says anything yet");
if (picture || model.categories.length) {
  await page.click("#add-only");
  await page.selectOption("#set-only select >> nth=0", "category").catch(() => {});
  await sound(page, "a condition");
}

// Errors are said, and there is a way on.
await go(page, () => page.goto(`${url}/#/item/there-is-no-such-item`));
assert.equal(await heading(page), "There is no such item");
await sound(page, "an error");
await go(page, () => page.goto(`${url}/#/nowhere`));
assert.equal(await heading(page), "Nothing is here");
assert.deepEqual(written, [], "something was written while trying out");

// Trying out turned off: likes are events, and can be taken back.
await go(page, () => page.goto(`${url}/#/person/${stranger}`));
await go(page, () => page.click("#trying"));
assert.equal(await page.getAttribute("#trying", "aria-checked"), "false");
assert.match(await page.textContent("#banner"), /written as events of/);
const [top] = await rowNames(page);
const [liked] = await rowOf(page, top);
await go(page, () => page.click(`[data-scroller="${top}"] > li:nth-child(1) .like`));
assert.deepEqual(
  JSON.parse(await history(stranger)).items.map((one) => [one.item, one.kind]),
  [[liked, "like"]],
);
assert.deepEqual(await rowOf(page, "taken"), [liked]);
await go(page, () => page.click(`[data-scroller="taken"] > li:nth-child(1) .like`));
assert.ok(!(await rowNames(page)).includes("taken"), "it is taken back");
assert.equal(written.length, 2);
await sound(page, "writing");
await go(page, () => page.click("#trying"));
await fetch(`${url}/v1/users/${stranger}`, { method: "DELETE", headers: { "content-type": "application/json" } });
assert.deepEqual(wrong, [], "nothing went wrong in the page");

// --- With keys alone -------------------------------------------------------------------------------------------------

const keys = await open({ ...desk, reducedMotion: "reduce" }, `/#/person/${encodeURIComponent(known)}`);
const press = (...all) => all.reduce((done, key) => done.then(() => keys.page.keyboard.press(key)), Promise.resolve());
const holds = (selector) => keys.page.evaluate((s) => document.activeElement?.matches(s), selector);
await press("Tab");
assert.ok(await holds("#skip"), "first comes the way past the frame");
await press("Enter");
assert.equal(await focused(keys.page), "H1");
for (let n = 0; n < 30 && !(await holds("[data-scroller] .go")); n += 1) await press("Tab");
const one = await keys.page.evaluate(() => document.activeElement.hash);
await press("ArrowRight");
const two = await keys.page.evaluate(() => document.activeElement.hash);
assert.ok(two && one !== two, "arrows go from card to card");
await press("End", "Home");
assert.equal(await keys.page.evaluate(() => document.activeElement.hash), one);
await press("ArrowRight", "Tab");
assert.ok(await holds(".act.like"), "then come its buttons");
await go(keys.page, () => press("Space"));
assert.match(await keys.page.textContent("#banner"), /1 like here/);
assert.ok(await holds("[data-scroller] *"), "the focus stays in the row");
for (let n = 0; n < 5 && !(await holds(".go")); n += 1) await press("Shift+Tab");
await go(keys.page, () => press("Enter"));
assert.match(keys.page.url(), /#\/item\//);
assert.equal(await focused(keys.page), "H1");
await go(keys.page, () => keys.page.goBack());
await go(keys.page, () => keys.page.goto(`${url}/#/training`));
const probe = await keys.page.$(".probe");
if (probe) {
  await probe.focus();
  const told = await keys.page.textContent(".told");
  await press("Home");
  assert.notEqual(await keys.page.textContent(".told"), told, "arrow keys read the curve");
}
assert.deepEqual([keys.wrong, keys.written], [[], []]);

// --- On a phone, in the dark, and on a desk in the dark --------------------------------------------------------------

for (const [name, options] of [
  ["phone", { ...desk, viewport: { width: 390, height: 844 } }],
  ["phone-dark", { ...desk, viewport: { width: 390, height: 844 }, colorScheme: "dark" }],
  ["dark", { ...desk, colorScheme: "dark" }],
]) {
  const small = await open(options);
  const rules = encodeURIComponent(
    JSON.stringify({ only: [], boosts: [], limits: [{ key: "category", most: 2 }], pins: [] }),
  );
  const id = encodeURIComponent(known);
  for (const at of [
    `person/${id}`,
    "person",
    `person/${stranger}`,
    `list/${id}`,
    "catalogue",
    `catalogue?q=${encodeURIComponent(word)}`,
    `item/${encodeURIComponent(item)}`,
    `compare/${id}`,
    "data",
    "training",
    `rules/${id}?rules=${rules}`,
    "tests",
  ]) {
    await go(small.page, () => small.page.goto(`${url}/#/${at}`));
    await sound(small.page, `${name}: ${at}`);
    await shot(small.page, `${name}-${at.replace(/\W.*/, "")}`);
  }
  await small.page.goto(`${url}/#/person/${id}`);
  await settled(small.page);
  const above = await small.page.evaluate(() => document.querySelector("main .card").getBoundingClientRect().top);
  assert.ok(above < 0.45 * options.viewport.height, `${name}: ${above} pixels before the first item`);
  assert.deepEqual([small.wrong, small.written], [[], []]);
}
await browser.close();
console.log("the page does what it should");
