// The catalogue: never blank, by category, by attributes, by title words, by meaning, by a picture.

import { ask, at, attributes, knownCategories, model, post, rowsOf } from "./api.js";
import { grid, row } from "./cards.js";
import { chips } from "./chips.js";
import { amount, count, guarded, headline, icon, link, make, many, quiet } from "./dom.js";
import { go, to } from "./route.js";
import { opinions } from "./session.js";

const STEP = 40;
const MOST = 400;
/** Attributes that are offered as choices, and the number of values up to which they are. */
const FACETS = 8;
const VALUES = 50;

/** What was found by the last picture: an address cannot hold a picture. */
let picture = null;

/** The filters of an address: attributes, and a range of prices. */
function filters(query) {
  const must = [...query]
    .filter(([key, value]) => key.startsWith("a.") && value)
    .map(([key, value]) => ({ key: key.slice(2), match: { value } }));
  const [min, max] = ["min", "max"].map((name) => (query.get(name) ? Number(query.get(name)) : NaN));
  const range = { ...(Number.isFinite(min) ? { gte: min } : {}), ...(Number.isFinite(max) ? { lte: max } : {}) };
  if (Object.keys(range).length) must.push({ key: "price", range });
  return must;
}

/** What suits most people of a part of the catalogue. */
const popular = (more) => post("/v1/recommendations", { items: [], ...more });

/** Those of `items` that the filters let through, in the order that they have. */
async function filtered(items, category, must) {
  if (!items.length || (!category && !must.length)) return items;
  const allow = items.map((item) => item.item);
  const left = await popular({
    allow,
    top: allow.length,
    ...(category ? { category } : {}),
    rules: must.length ? { filter: { must } } : {},
  });
  const passed = new Set(left.items.map((item) => item.item));
  return items.filter((item) => passed.has(item.item));
}

async function search(query, top) {
  const [words, by, category, must] = [query.get("q"), query.get("by"), query.get("category"), filters(query)];
  const wide = category || must.length ? 1000 : top;
  if (by === "picture") {
    if (!picture) return { head: "Choose a picture to search with", items: [] };
    return { head: `Looks like ${picture.name}`, items: await filtered(picture.items, category, must) };
  }
  if (words && by === "meaning") {
    const found = await post("/v1/items/search", { text: words, top: Math.min(wide, 300) });
    return { head: `Nearest to “${words}”`, items: (await filtered(found.items, category, must)).slice(0, top), more: true };
  }
  if (words) {
    const found = await ask(`/v1/items?query=${at(words)}&top=${wide}`);
    return { head: `Titles with “${words}”`, items: (await filtered(found.items, category, must)).slice(0, top), more: true };
  }
  const list = await popular({ top, ...(category ? { category } : {}), rules: must.length ? { filter: { must } } : {} });
  return { head: category ?? "What is left", about: "what suits most people first", items: list.items, more: true };
}

/** What suits most people of the largest categories, a row each. */
export async function byCategory(categories, views) {
  const parts = categories.slice(0, 4).map(({ value }) => value);
  const lists = await Promise.all(parts.map((category) => popular({ category, top: 12 }).catch(() => ({ items: [] }))));
  return lists.map((list, n) => {
    const all = link(to("catalogue", null, { category: parts[n] }), "See all");
    return list.items.length ? row(`category-${n}`, parts[n], list.items, { more: all, opinions: views }) : null;
  });
}

/** Rows of a catalogue that nobody has asked anything of yet. */
async function shopWindow(categories, views) {
  const names = await rowsOf("popular", "new", "trending");
  const [page, own] = await Promise.all([
    names.length ? post("/v1/page", { items: [], rows: names }) : { rows: [] },
    byCategory(categories, views),
  ]);
  const about = { popular: "what most people take", new: "the last that came", trending: "taken more often than before" };
  const told = page.rows.map((one) => row(one.name, one.title, one.items, { about: about[one.kind], opinions: views }));
  if (told.length || own.some(Boolean)) return [...told, ...own];
  const any = await ask(`/v1/items?query=&top=${STEP}`);
  return [grid(any.items, { opinions: views, none: "No item may be listed now: all are hidden, sold out or not there yet." })];
}

/** A picture of at most 1024 pixels a side: encoders look at less, and servers limit what they take. */
async function smaller(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  });
  const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, bitmap.width * scale), Math.max(1, bitmap.height * scale)];
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}

async function byPicture(file) {
  if (!file) return;
  const body = await smaller(file);
  const { items } = await ask("/v1/items/search?top=60", { method: "POST", body, type: body.type });
  picture = { name: file.name, items };
  go(to("catalogue", null, { by: "picture" }));
}

/** The fields to search with; what the server has no encoder for is not offered. */
function fields(query, encoders) {
  const words = make("input", {
    type: "search",
    name: "q",
    value: query.get("q") ?? "",
    maxlength: 256,
    placeholder: "Search the catalogue",
    autocomplete: "off",
    "data-key": "q",
  });
  const meaning = make(
    "select",
    { name: "by", "data-key": "by" },
    make("option", { value: "" }, "in titles"),
    make("option", { value: "meaning", selected: query.get("by") === "meaning" }, "by meaning"),
  );
  const submit = guarded(async () => {
    const said = new URLSearchParams(query);
    said.set("q", words.value.trim());
    said.set("by", words.value.trim() ? meaning.value : "");
    said.delete("top");
    go(to("catalogue", null, Object.fromEntries(said)));
  });
  const form = make(
    "form.finder",
    { role: "search", "aria-label": "Search the catalogue", onsubmit: submit },
    make("label", make("span.heard", "Search"), words),
    encoders.includes("text") ? make("label", make("span.heard", "How to search"), meaning) : null,
    make("button", { type: "submit" }, "Search"),
  );
  if (!encoders.includes("image")) return form;
  const file = make("input", {
    type: "file",
    id: "picture",
    class: "heard",
    accept: "image/jpeg,image/png,image/webp",
    onchange: guarded((event) => byPicture(event.target.files[0])),
  });
  const drop = make(
    "label.drop",
    { for: "picture" },
    icon("picture"),
    make("span", "By picture"),
    quiet("choose one, or drop it here"),
    file,
  );
  const over = (on) => (event) => {
    event.preventDefault();
    drop.classList.toggle("over", on);
  };
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener(
    "drop",
    guarded(async (event) => {
      drop.classList.remove("over");
      await byPicture(event.dataTransfer.files[0]);
    }),
  );
  return [form, drop];
}

/** Attributes as choices, folded away until one is made. */
function facets(query, known, address) {
  const offered = known
    .filter((one) => one.key !== "category" && !one.range && one.distinct > 1 && one.distinct <= VALUES)
    .slice(0, FACETS);
  const price = known.find((one) => one.key === "price" && one.range);
  if (!offered.length && !price) return null;
  const set = (name) => (event) => go(address({ [name]: event.target.value || null, top: null }), { replace: true });
  const choice = ({ key, values }) => {
    const chosen = query.get(`a.${key}`);
    const all = chosen && !values.some((one) => one.value === chosen) ? [{ value: chosen }, ...values] : values;
    return make(
      "label",
      make("span", key),
      make(
        "select",
        { "data-key": `facet/${key}`, onchange: set(`a.${key}`) },
        make("option", { value: "" }, "any"),
        ...all.map(({ value, items }) =>
          make("option", { value, selected: value === chosen }, items === undefined ? value : `${value} (${count(items)})`),
        ),
      ),
    );
  };
  const end = (name, words, hint) =>
    make(
      "label",
      make("span", words),
      make("input", {
        type: "number",
        class: "short",
        step: "any",
        min: 0,
        value: query.get(name) ?? "",
        placeholder: amount(hint),
        "data-key": name,
        onchange: set(name),
      }),
    );
  const used = filters(query).length;
  return make(
    "details.facets",
    { open: used > 0 || innerWidth > 900 },
    make("summary", used ? `Filters (${used})` : "Filters"),
    make(
      "div.bar",
      price ? [end("min", "Price from", price.range.min), end("max", "to", price.range.max)] : null,
      ...offered.map(choice),
      used
        ? link(to("catalogue", null, { q: query.get("q"), by: query.get("by"), category: query.get("category") }), "Clear filters")
        : null,
    ),
  );
}

export async function show({ query }) {
  const top = Math.min(Math.max(Number(query.get("top")) || STEP, STEP), MOST);
  const [about, categories, known, views, size] = await Promise.all([
    model(),
    knownCategories(),
    attributes(),
    opinions(),
    ask("/v1/items?query=&top=1"),
  ]);
  const category = query.get("category");
  const address = (more) => to("catalogue", null, { ...Object.fromEntries(query), ...more });
  const asked = [...query.keys()].some((name) => name !== "top");
  let found = [];
  let words = "Catalogue";
  let said = "";
  if (asked) {
    const result = await search(query, top);
    words = result.head;
    const shown = result.items.length;
    const full = result.more && shown >= top && top < MOST;
    const number = full ? `the first ${count(shown)}` : many(shown, "item");
    said = `${result.head}: ${number}`;
    found = [
      make(
        "div.head",
        make("h2", result.head),
        make("p.quiet", { id: "found" }, result.about ? `${number}, ${result.about}` : number),
        link("#/catalogue", "Back to everything"),
      ),
      grid(result.items, { key: "found", opinions: views, none: "Nothing is like that. Try other words, or take a filter away." }),
      full
        ? make(
            "p.more",
            make(
              "button",
              { type: "button", "data-key": "more", onclick: () => go(address({ top: top + STEP }), { replace: true }) },
              "Show more",
            ),
          )
        : null,
    ];
  } else {
    found = await shopWindow(categories, views);
  }
  return {
    title: words,
    said,
    nodes: [
      headline("Catalogue ", quiet(`${many(size.catalogue, "item")} listed`)),
      make("div.search", fields(query, about.encoders)),
      chips("Category", categories, category, (value) => address({ category: value, top: null })),
      facets(query, known, address),
      ...found,
    ],
  };
}
