// The page of `alike serve`: everything it shows comes from the service's own routes, see docs/api.md.

const $ = (id) => document.getElementById(id);

/** Makes an element; `content` are texts and elements, never markup. */
function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...content.filter((c) => c !== null && c !== undefined));
  return element;
}

/** Says something to everybody, screen readers included. */
function say(text, good = false) {
  $("note").textContent = text;
  $("note").className = good ? "good" : "";
}

let key = sessionStorage.getItem("alike-key") ?? "";

function askForKey() {
  return new Promise((done) => {
    const dialog = $("key-dialog");
    dialog.onclose = () => {
      key = $("key").value;
      sessionStorage.setItem("alike-key", key);
      done();
    };
    dialog.showModal();
  });
}

/** One request; errors of the service come as exceptions with its own words. */
async function ask(path, { method = "GET", body, type = "application/json" } = {}) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  if (body !== undefined) headers["content-type"] = type;
  const sent = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  const answer = await fetch(path, { method, headers, body: sent });
  if (answer.status === 401) {
    await askForKey();
    return ask(path, { method, body, type });
  }
  const text = await answer.text();
  const content = text ? JSON.parse(text) : {};
  if (!answer.ok) {
    const error = new Error(content.error?.message ?? `${answer.status} ${answer.statusText}`);
    error.code = content.error?.code;
    throw error;
  }
  return content;
}

/** Runs an action and shows what went wrong, if anything did. */
const guarded = (action) => async (event) => {
  event?.preventDefault?.();
  say("");
  try {
    await action(event);
  } catch (error) {
    say(error.message);
  }
};

const at = encodeURIComponent;
const title = (item) => item.title ?? `item ${item.item}`;

const pictures = new Map();

/** Where an image element finds a picture; with a key it has to be fetched, since elements send none. */
async function picture(path) {
  if (!key) return path;
  if (!pictures.has(path)) {
    const answer = await fetch(path, { headers: { authorization: `Bearer ${key}` } });
    if (!answer.ok) throw new Error(answer.statusText);
    pictures.set(path, URL.createObjectURL(await answer.blob()));
  }
  return pictures.get(path);
}

/** An item's picture, or its first letter where there is none. */
function face(item, onclick) {
  const letter = make("span", { "aria-hidden": "true" }, title(item).slice(0, 1).toUpperCase());
  const box = make("button", { class: "face", type: "button", onclick, "aria-label": `Items like ${title(item)}` });
  box.append(letter);
  // Pictures that are elsewhere are not fetched: the page works offline, and nobody else learns of it.
  if (item.image?.startsWith("/")) {
    const image = make("img", { alt: "" });
    image.addEventListener("load", () => box.replaceChildren(image));
    picture(item.image).then((source) => (image.src = source), () => {});
  }
  return box;
}

/** Why an item is there, in words. */
function why(reasons) {
  if (!reasons?.length) return null;
  const line = make("p", { class: "why" }, "because of ");
  reasons.slice(0, 2).forEach((reason, n) => {
    if (n > 0) line.append(" and ");
    line.append(make("b", {}, title(reason)));
    if (reason.modality) line.append(` (${reason.modality})`);
  });
  return line;
}

function card(item, { acts = null, mark = false } = {}) {
  const text = make("div", { class: "text" }, make("h3", {}, title(item)));
  if (item.category) text.append(make("p", {}, item.category));
  const reasons = why(item.reasons);
  if (reasons) text.append(reasons);
  if (acts) text.append(make("div", { class: "acts" }, ...acts(item)));
  return make("li", { class: mark ? "card both" : "card" }, face(item, guarded(() => showSimilar(item))), text);
}

function fill(list, items, options) {
  const nothing = make("li", { class: "quiet" }, "Nothing here.");
  list.replaceChildren(...(items.length ? items.map((item) => card(item, options)) : [nothing]));
}

// --- Views ---------------------------------------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];

function open(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}

for (const tab of tabs) {
  tab.addEventListener("click", () => {
    say("");
    open(tab);
  });
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}

// --- People --------------------------------------------------------------------------------------------------------

const SHOWN = 24;
let person = null;
let whole = false;

/** What is asked for: the controls of the page. */
function wishes(user, more = {}) {
  const category = $("category").value.trim();
  return {
    user,
    top: 20,
    diversity: Number($("diversity").value),
    exclude_seen: !$("again").checked,
    reasons: 2,
    ...(category ? { category } : {}),
    ...more,
  };
}

/** A list for somebody; for one whom nobody knows, what is recommended without any history. */
async function recommended(body) {
  try {
    return await ask("/v1/recommendations", { method: "POST", body });
  } catch (error) {
    if (error.code !== "unknown_user") throw error;
    const { user, ...rest } = body;
    const list = await ask("/v1/recommendations", { method: "POST", body: { ...rest, items: [] } });
    return { ...list, stranger: true };
  }
}

async function tell(item, kind, words) {
  await ask("/v1/events", { method: "POST", body: { user: person, item: item.item, kind } });
  await showPerson(person);
  say(`${words}: ${title(item)}. The list is new.`, true);
}

const act = (item, kind, sign, label, words) =>
  make(
    "button",
    { type: "button", "aria-label": `${label} ${title(item)}`, onclick: guarded(() => tell(item, kind, words)) },
    sign,
  );

const acts = (item) => [
  act(item, "like", "Like", "Like", "Liked"),
  act(item, "dislike", "Not for me", "Not for me:", "Hidden"),
];

async function showPerson(user) {
  person = user;
  const [list, history] = await Promise.all([
    recommended(wishes(user)),
    ask(`/v1/users/${at(user)}/history?top=1000`).catch(() => ({ items: [], count: 0 })),
  ]);
  $("for").textContent = list.stranger
    ? `${user} is new: like something, and the list becomes theirs`
    : `Recommended for ${user}`;
  fill($("list"), list.items, { acts });
  const { items } = history;
  $("count").textContent = `${items.length} ${items.length === 1 ? "item" : "items"}`;
  fill($("history"), whole ? items : items.slice(0, SHOWN));
  $("more").hidden = whole || items.length <= SHOWN;
}

$("who").addEventListener("submit", guarded(async () => {
  const user = $("user").value.trim();
  whole = false;
  if (user) await showPerson(user);
  else say("Give the id of a person, known or new.");
}));
$("more").addEventListener("click", guarded(async () => {
  whole = true;
  await showPerson(person);
}));
$("diversity").addEventListener("input", () => ($("variety").value = $("diversity").value));
for (const id of ["diversity", "again", "category"]) {
  $(id).addEventListener("change", guarded(async () => person && showPerson(person)));
}
$("how").addEventListener("submit", (event) => event.preventDefault());

let waiting = 0;
$("user").addEventListener("input", suggest);
$("both-user").addEventListener("input", suggest);

/** Ids that begin as typed, once typing pauses. */
function suggest(event) {
  clearTimeout(waiting);
  const typed = event.target.value.trim();
  waiting = setTimeout(guarded(async () => {
    const { users } = await ask(`/v1/users?query=${at(typed)}&top=12`);
    $("users").replaceChildren(...users.map((user) => make("option", { value: user })));
  }), 150);
}

$("anybody").addEventListener("click", guarded(async () => {
  const { users } = await ask("/v1/users?query=&top=1000");
  const user = users[Math.floor(Math.random() * users.length)];
  $("user").value = user;
  whole = false;
  await showPerson(user);
}));

// --- Catalogue -----------------------------------------------------------------------------------------------------

function found(head, items) {
  open($("tab-catalogue"));
  $("found-head").textContent = head;
  fill($("found"), items, person ? { acts } : {});
}

async function showSimilar(item) {
  const { items } = await ask(`/v1/items/${at(item.item)}/similar?top=20`);
  found(`Items like ${title(item)}`, items);
  $("found-head").scrollIntoView({ block: "nearest" });
}

$("find").addEventListener("submit", guarded(async () => {
  const words = $("words").value.trim();
  const { items } = await ask(`/v1/items?query=${at(words)}&top=40`);
  found(words ? `Titles with “${words}”` : "Items", items);
}));
$("meaning").addEventListener("click", guarded(async () => {
  const words = $("words").value.trim();
  if (!words) return say("Write what the item should be like.");
  const { items } = await ask("/v1/items/search", { method: "POST", body: { text: words, top: 20 } });
  found(`Nearest to “${words}”`, items);
}));
/** A picture of at most 1024 pixels a side: encoders look at less, and servers limit what they take. */
async function smaller(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width * scale, bitmap.height * scale];
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}

$("picture").addEventListener("change", guarded(async () => {
  const [file] = $("picture").files;
  if (!file) return;
  const body = await smaller(file);
  const { items } = await ask("/v1/items/search?top=20", { method: "POST", body, type: body.type });
  found(`Looks like ${file.name}`, items);
}));

// --- Compare -------------------------------------------------------------------------------------------------------

$("both").addEventListener("submit", guarded(async () => {
  const user = $("both-user").value.trim();
  if (!user) return say("Give the id of a person.");
  const [left, right] = await Promise.all([
    recommended(wishes(user)),
    recommended(wishes(user, { model: "compare" })),
  ]);
  const names = (list) => new Set(list.items.map((i) => i.item));
  const [a, b] = [names(left), names(right)];
  const common = [...a].filter((i) => b.has(i)).length;
  $("shared").textContent = `${common} of ${a.size} items stand in both lists; they have a coloured border.`;
  const show = (list, into, other) =>
    $(into).replaceChildren(...list.items.map((i) => card(i, { mark: other.has(i.item) })));
  show(left, "left", b);
  show(right, "right", a);
}));

// --- Training ------------------------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/** A line over epochs, with the best one marked. */
function curve(name, points, best) {
  const [w, h, left, bottom] = [360, 180, 52, 24];
  const ys = points.map((p) => p[1]);
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const last = points[points.length - 1][0];
  const x = (epoch) => left + ((w - left - 8) * (epoch - 1)) / Math.max(last - 1, 1);
  const y = (value) => 10 + (h - bottom - 14) * (1 - (value - low) / (high - low || 1));
  const svg = draw("svg", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `${name} over ${last} epochs` });
  svg.append(
    draw("line", { class: "axis", x1: left, x2: w - 8, y1: h - bottom, y2: h - bottom }),
    draw("text", { x: 2, y: y(high) + 4 }, high.toPrecision(3)),
    draw("text", { x: 2, y: y(low) + 4 }, low.toPrecision(3)),
    draw("text", { x: left, y: h - 6 }, "1"),
    draw("text", { x: w - 8, y: h - 6, "text-anchor": "end" }, `epoch ${last}`),
    draw("polyline", { class: "line", points: points.map(([e, v]) => `${x(e)},${y(v)}`).join(" ") }),
  );
  const mark = points.find(([epoch]) => epoch === best);
  if (mark) svg.append(draw("circle", { class: "best", cx: x(mark[0]), cy: y(mark[1]), r: 4 }));
  return make("figure", {}, svg, make("figcaption", {}, mark ? `${name}; best epoch ${best}` : name));
}

function table(into, head, rows) {
  const cell = (tag, value, n) => make(tag, n > 0 ? { class: "number" } : {}, value);
  into.replaceChildren(
    make("thead", {}, make("tr", {}, ...head.map((v, n) => cell("th", v, n)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((v, n) => cell("td", v, n))))),
  );
}

async function showTraining(model) {
  const epochs = await ask("/v1/model/log");
  const summary = model.summary ?? {};
  const line = (name, value) => {
    const points = epochs.map((e) => [e.epoch, value(e)]).filter((p) => Number.isFinite(p[1]));
    return points.length > 1 ? [curve(name, points, summary.best_epoch)] : [];
  };
  $("curves").replaceChildren(
    ...line("Loss", (e) => e.loss),
    ...line("Recall@20 on validation", (e) => e.valid?.["recall@20"]),
    ...line("NDCG@20 on validation", (e) => e.valid?.["ndcg@20"]),
  );
  if (!$("curves").children.length) $("curves").textContent = "This model is solved at once.";
  const splits = [["validation", "valid"], ["test", "test_public"], ["test, validation masked", "test_clean"]];
  const there = splits.filter(([, name]) => Object.keys(summary[name] ?? {}).length);
  const rows = ["recall@10", "recall@20", "ndcg@10", "ndcg@20", "hitrate@20", "mrr@20"].map((metric) => [
    metric,
    ...there.map(([, name]) => (summary[name][metric] ?? NaN).toFixed(4)),
  ]);
  table($("metrics"), ["", ...there.map(([words]) => words)], rows);
  table($("settings"), ["setting", "value"], Object.entries(model.settings).map(([k, v]) => [k, String(v)]));
}

// --- Start ---------------------------------------------------------------------------------------------------------

await guarded(async () => {
  const model = await ask("/v1/model");
  const count = (n) => n.toLocaleString("en");
  $("model").textContent =
    `${model.name} on ${model.data}: ${count(model.users)} people, ${count(model.items)} items`;
  document.title = `alike: ${model.name} on ${model.data}`;
  $("left-name").textContent = model.name;
  if (model.compare) $("right-name").textContent = (await ask("/v1/model?model=compare")).name;
  else $("tab-compare").hidden = true;
  $("categories").replaceChildren(...model.categories.map((value) => make("option", { value })));
  $("meaning").hidden = !model.encoders.includes("text");
  $("picture").parentElement.hidden = !model.encoders.includes("image");
  await showTraining(model);
  $("anybody").click();
})();
