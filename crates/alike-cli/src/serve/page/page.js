// The page of `alike serve`: everything it shows comes from the same routes that other programs use.

const at = (id) => document.getElementById(id);
let key = sessionStorage.getItem("alike-key");
let about = null;
let user = null;

/** Says something to everybody, also to those who listen to the page. */
function say(text, wrong = false) {
  at("said").textContent = text;
  at("said").classList.toggle("wrong", wrong);
}

/** Asks the server; throws what it says is wrong. */
async function ask(path, body, type = "application/json") {
  const headers = key ? { "x-api-key": key } : {};
  const options = { headers };
  if (body !== undefined) {
    options.method = "POST";
    headers["content-type"] = type;
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  const response = await fetch(path, options).catch(() => null);
  if (!response) throw new Error("The server does not answer.");
  if (response.status === 401) {
    at("key").hidden = false;
    at("key-text").focus();
  }
  if (!response.ok) throw new Error((await response.json()).error.message);
  return response;
}

const get = async (path, body, type) => (await ask(path, body, type)).json();
const part = (text) => encodeURIComponent(text);

/** Makes an element with a class, a text and children. */
function make(name, { cls, text, ...set } = {}, ...children) {
  const element = document.createElement(name);
  if (cls) element.className = cls;
  if (text !== undefined) element.textContent = text;
  for (const [attribute, value] of Object.entries(set)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/** Runs what a person asked for, and says when it fails. */
const doing = (work) => async (event) => {
  event?.preventDefault?.();
  try {
    await work(event);
  } catch (error) {
    say(error.message, true);
  }
};

/** The picture of an item, or its first letter. */
function picture(item) {
  const box = make("div", { cls: "picture", "aria-hidden": "true" });
  const letter = () => box.replaceChildren((item.title ?? item.item).slice(0, 1));
  letter();
  if (item.image?.startsWith("/")) {
    const image = make("img", { alt: "", loading: "lazy" });
    image.onerror = letter;
    if (key) {
      // Pictures want the key too, which only a request of ours can carry.
      ask(item.image).then((r) => r.blob()).then((b) => { image.src = URL.createObjectURL(b); box.replaceChildren(image); }, letter);
    } else {
      image.src = item.image;
      box.replaceChildren(image);
    }
  }
  return box;
}

/** An item with what can be done with it. */
function card(item, note, acts, level = "h3") {
  const title = item.title ?? item.item;
  const text = make("div", { cls: "text" }, make(level, { text: title }));
  if (item.category) text.append(make("p", { cls: "kind", text: item.category }));
  if (note) text.append(make("p", { cls: "why", text: note }));
  const buttons = acts.map(([name, act]) => {
    const button = make("button", { type: "button", text: name, "aria-label": `${name}: ${title}` });
    button.addEventListener("click", doing(act));
    return button;
  });
  const shown = make("li", { cls: "card" }, picture(item), text);
  if (buttons.length) shown.append(make("div", { cls: "acts" }, ...buttons));
  return shown;
}

/** Tells the server what the person did, and shows what follows from it. */
async function event(item, kind) {
  if (!user) throw new Error("Choose a person first.");
  await get("/v1/events", { user, item: item.item, kind });
  const words = { like: "likes", dislike: "does not like", remove: "takes back" };
  await person();
  say(`${user} ${words[kind]} ${item.title ?? item.item}. The list has changed.`);
}

const because = (item) => {
  const names = (item.reasons ?? []).map((r) => (r.title ?? r.item) + (r.modality ? ` (${r.modality})` : ""));
  return names.length ? `Because of ${names.join(", ")}` : "";
};

/** Recommendations of one model into a list. */
async function recommended(list, title, model) {
  const more = new URLSearchParams({ top: 12, reasons: 2, diversity: at("diversity").value, model });
  if (at("category").value) more.set("category", at("category").value);
  const body = await get(`/v1/users/${part(user)}/recommendations?${more}`);
  title.textContent = `${body.model.name} recommends`;
  const acts = (item) => [["Like", () => event(item, "like")], ["Not this", () => event(item, "dislike")]];
  list.replaceChildren(...body.items.map((item) => card(item, because(item), acts(item))));
}

/** Shows a person's history and what is recommended. */
async function person() {
  let past;
  try {
    past = await get(`/v1/users/${part(user)}/history?top=24`);
  } catch (error) {
    if (!error.message.startsWith("unknown user")) throw error;
    at("lists").hidden = at("past").hidden = true;
    say(`Nothing is known of ${user} yet: like something in the catalogue.`);
    return;
  }
  const models = [recommended(at("list"), at("list-title"), "main")];
  if (about?.compare) models.push(recommended(at("other-list"), at("other-title"), "compare"));
  await Promise.all(models);
  at("other").hidden = !about?.compare;
  at("past-title").textContent = `History of ${user}: ${past.count} items`;
  const kinds = { trained: "", take: "taken", like: "liked", dislike: "not liked" };
  const acts = (item) => [["Take back", () => event(item, "remove")]];
  at("history").replaceChildren(...past.items.map((item) => card(item, kinds[item.kind], acts(item))));
  at("lists").hidden = at("past").hidden = false;
}

/** Items of the catalogue, each with ways on from it. */
function found(title, items) {
  at("found-title").textContent = title;
  const acts = (item) => [
    ["Similar", async () => {
      const body = await get(`/v1/items/${part(item.item)}/similar?top=24`);
      found(`Similar to ${item.title ?? item.item}`, body.items);
      at("found-title").scrollIntoView({ block: "start" });
    }],
    ...(user ? [["Like", () => event(item, "like")]] : []),
  ];
  at("found").replaceChildren(...items.map((item) => card(item, "", acts(item))));
  say(`${title}: ${items.length} items.`);
}

async function find() {
  const query = at("query").value.trim();
  const body = await get(`/v1/items?top=48&query=${part(query)}`);
  found(query ? `Titles with “${query}”` : "The catalogue", body.items);
}

/** A curve over epochs as a drawing; the table beside it says the same. */
function curve(name, points) {
  const [width, height, pad] = [640, 220, 44];
  const svg = (tag, set) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(set).forEach(([k, v]) => element.setAttribute(k, v));
    return element;
  };
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const [low, high, last] = [Math.min(...ys), Math.max(...ys), Math.max(...xs)];
  const x = (v) => pad + ((v - xs[0]) / (last - xs[0] || 1)) * (width - 2 * pad);
  const y = (v) => height - pad - ((v - low) / (high - low || 1)) * (height - 2 * pad);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const label = `${name}: from ${ys[0].toPrecision(4)} in epoch ${xs[0]} to ${ys.at(-1).toPrecision(4)} in epoch ${last}`;
  drawing.setAttribute("aria-label", label);
  const write = (text, px, py, anchor = "start") => {
    const element = svg("text", { x: px, y: py, "text-anchor": anchor });
    element.textContent = text;
    drawing.append(element);
  };
  drawing.append(svg("path", { d: points.map((p, n) => `${n ? "L" : "M"}${x(p[0])} ${y(p[1])}`).join("") }));
  write(name, pad, 20);
  write(high.toPrecision(4), 6, y(high) - 6);
  write(low.toPrecision(4), 6, y(low) + 16);
  write(`epoch ${xs[0]}`, pad, height - 12);
  write(`${last}`, width - pad, height - 12, "end");
  return drawing;
}

/** What a model is, what it came to, and how. */
async function told(which) {
  const [model, log] = await Promise.all([get(`/v1/model?model=${which}`), get(`/v1/model/log?model=${which}`)]);
  const size = `${model.users.toLocaleString()} users, ${model.items.toLocaleString()} items, ${model.interactions.toLocaleString()} interactions`;
  const box = make("div", {}, make("h2", { text: `${model.name} on ${model.data}` }), make("p", { cls: "soft", text: size }));
  const columns = [["valid", "validation"], ["test_public", "test"], ["test_clean", "test, validation masked"]].filter(([c]) => Object.keys(model.summary?.[c] ?? {}).length);
  if (columns.length) {
    const names = ["recall@10", "recall@20", "ndcg@10", "ndcg@20"];
    const head = make("tr", {}, make("th", { scope: "col", text: "Metric" }), ...columns.map(([, n]) => make("th", { scope: "col", text: n })));
    const value = (c, n) => model.summary[c][n]?.toFixed(4) ?? "";
    const rows = names.map((n) => make("tr", {}, make("th", { scope: "row", text: n }), ...columns.map(([c]) => make("td", { text: value(c, n) }))));
    box.append(make("div", { cls: "wide" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
  }
  const losses = log.map((e) => [e.epoch, e.loss]).filter((p) => Number.isFinite(p[1]));
  const recalls = log.filter((e) => e.valid).map((e) => [e.epoch, e.valid["recall@20"]]);
  for (const [name, points] of [["Loss", losses], ["Recall@20 on validation", recalls]]) {
    if (points.length > 1) box.append(make("h3", { text: name }), curve(name, points));
  }
  return box;
}

/** Shows the part of the page that the address names. */
const parts = { person: null, catalogue: find, run: async () => at("runs").replaceChildren(...await Promise.all(["main", ...(about?.compare ? ["compare"] : [])].map(told))) };
const turn = doing(async () => {
  const name = location.hash.slice(1) in parts ? location.hash.slice(1) : "person";
  for (const other of Object.keys(parts)) at(other).hidden = other !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (about) await parts[name]?.();
});

async function users() {
  const body = await get(`/v1/users?top=20&query=${part(at("user").value)}`);
  at("users").replaceChildren(...body.users.map((u) => make("option", { value: u })));
  return body.users;
}

const begin = doing(async () => {
  about = await get("/v1/model");
  at("key").hidden = true;
  at("about").textContent = `${about.name} · ${about.items.toLocaleString()} items`;
  at("meaning").hidden = at("picture-label").hidden = !about.encoder;
  at("category").append(...about.categories.map((c) => make("option", { value: c, text: c })));
  const [first] = await users();
  user = at("user").value = first ?? "";
  if (user) await person();
  await turn();
});

at("who").addEventListener("submit", doing(async () => {
  user = at("user").value.trim();
  say("");
  await person();
}));
at("user").addEventListener("input", doing(users));
for (const id of ["category", "diversity"]) at(id).addEventListener("change", doing(() => user && person()));
at("find").addEventListener("submit", doing(find));
at("meaning").addEventListener("click", doing(async () => {
  const body = await get("/v1/items/search", { text: at("query").value, top: 24 });
  found(`Near to “${at("query").value}”`, body.items);
}));
at("picture").addEventListener("change", doing(async () => {
  const [file] = at("picture").files;
  if (file) found(`Near to ${file.name}`, (await get("/v1/items/search?top=24", file, file.type)).items);
}));
at("key").addEventListener("submit", doing(async () => {
  key = at("key-text").value;
  sessionStorage.setItem("alike-key", key);
  say("");
  await begin();
}));
addEventListener("hashchange", turn);
turn();
begin();
