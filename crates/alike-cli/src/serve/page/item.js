// One item: what it is, who takes it, what is like it, and why somebody would get it.

import { ask, at, maybe, rowsOf } from "./api.js";
import { acts, alikeness, face, people, row } from "./cards.js";
import { amount, categories, count, headline, link, make, many, panel, quiet, small, title } from "./dom.js";
import { to } from "./route.js";
import { mayAct, opinions, past, person, recommended, rows } from "./session.js";

/** How far a list is looked through for the place of an item. */
const LOOKED_AT = 200;

/** Whether it can be had, in words, with how that is to look. */
function standing(item) {
  const words = [];
  if (item.listed === false) words.push([item.stock === 0 ? "sold out: in no list" : "not listed now", "bad"]);
  else if (item.stock !== undefined && item.stock !== null) words.push([`${count(item.stock)} in stock`, "good"]);
  if (item.trained === false)
    words.push([
      item.recommendable ? "new: placed by its words and features" : "new: cannot be recommended yet, it has no features",
      "plain",
    ]);
  return make("p.marks", ...words.map(([text, kind]) => make("span", { class: `mark ${kind}` }, text)));
}

function about(item) {
  const known = Object.entries(item.attributes ?? {}).filter(([key]) => !["category", "title", "description"].includes(key));
  if (!known.length) return null;
  const value = (key, text) => link(to("catalogue", null, { [`a.${key}`]: text }), text);
  const line = ([key, texts]) => [make("dt", key), make("dd", ...texts.flatMap((text, n) => [n ? ", " : "", value(key, text)]))];
  return make("dl.facts", ...known.flatMap(line));
}

/** Why it would be in the list of the person, and where. */
async function reasons(item, name, views) {
  const head = make("h2", person() === null ? "Why it would be in their list" : `Why it would be in ${name}’s list`);
  const box = (...content) => make("section.panel.why-panel", head, ...content);
  if (item.recommendable === false)
    return box(make("p", "The model cannot place it: it knows neither people who took it nor features of it."));
  if (item.listed === false) return box(make("p", "It may not be listed now, so it is in nobody’s list."));
  if (views.get(item.item) === "dislike") return box(make("p", "They do not want it, so it is in no list of theirs."));
  const has = (await past())?.items.some((one) => one.item === item.item) || views.get(item.item) === "like";
  const [alone, list] = await Promise.all([
    recommended({ allow: [item.item], top: 1, reasons: 5, exclude_seen: false }),
    has ? null : recommended({ top: LOOKED_AT }),
  ]);
  const place = list?.items.findIndex((one) => one.item === item.item) + 1;
  const where = has
    ? "They have it, so it is not suggested again."
    : place
      ? `It is number ${place} in ${name}’s list.`
      : `It is not among the first ${list.items.length} for ${name}.`;
  const told = alone.items[0]?.reasons ?? [];
  if (alone.stranger || !told.length) {
    const none =
      alone.stranger || !(await past())?.count
        ? "Nothing they took is known, so this is what suits most people."
        : "The model cannot name single things they took as the reason.";
    return box(make("p", where, " ", none));
  }
  const most = Math.max(...told.map((reason) => reason.loss), 1e-9);
  const line = (reason) => {
    const share = Math.max(reason.loss / most, 0.02);
    const bar = make("span.bar-line", { "aria-hidden": "true" });
    bar.style.setProperty("--share", share);
    const word = alikeness(reason.modality);
    return make("li", link(to("item", reason.item), title(reason)), word ? quiet(` ${word}`) : null, bar);
  };
  return box(
    make("p", `${where} Of what they took, this carries it most:`),
    make("ol.reasons", { role: "list" }, ...told.map(line)),
    small("The longer the bar, the more its score would lose without that one. “Looks alike” goes by pictures, “reads alike” by words."),
  );
}

function who(told) {
  if (!told) return null;
  if (!told.count) return panel("Who takes it", make("p", "Nobody has taken it yet."));
  const more = told.count > told.users.length ? ` and ${count(told.count - told.users.length)} more` : "";
  return panel("Who takes it", make("p", `${many(told.count, "person", "people")}: `, people(told.users), more));
}

/** Rows of what is like it and what is taken with it. */
async function around(item) {
  const names = await rowsOf("related", "bought-together");
  const told = names.length ? (await rows({ item: item.item, rows: names })).rows : [];
  if (told.some((one) => one.kind === "related")) return told;
  const alike = await ask(`/v1/items/${at(item.item)}/similar?top=12`).catch(() => null);
  return alike?.items.length ? [{ name: "alike", kind: "related", title: `Like ${title(item)}`, items: alike.items }, ...told] : told;
}

/** The way back: where one came from, then the category. */
function crumbs(item, from) {
  const first = from ?? { hash: "#/catalogue", title: "Catalogue" };
  const category = categories(item)[0];
  const of = category && first.hash !== to("catalogue", null, { category }) ? link(to("catalogue", null, { category }), category) : null;
  return make(
    "nav.crumbs",
    { "aria-label": "Breadcrumb" },
    make("span", { "aria-hidden": "true" }, "← "),
    link(first.hash, first.title),
    of,
  );
}

export async function show({ id, from }) {
  const item = await ask(`/v1/items/${at(id)}`);
  const name = person() ?? "a new visitor";
  const failed = (error) => panel("Why it would be in their list", make("p", error.message));
  const views = await opinions();
  const [takers, near, because] = await Promise.all([
    maybe(ask(`/v1/items/${at(id)}/users?top=12`)),
    around(item),
    reasons(item, name, views).catch(failed),
  ]);
  const notes = { related: "most like it", "bought-together": "often taken by the same people" };
  const kinds = categories(item);
  return {
    title: title(item),
    nodes: [
      crumbs(item, from),
      make(
        "article.item",
        make("div.portrait", face(item, { whole: true, eager: true })),
        make(
          "div",
          headline(title(item)),
          kinds.length
            ? make("p.kinds", ...kinds.map((kind) => make("a.chip", { href: to("catalogue", null, { category: kind }) }, kind)))
            : null,
          item.price === undefined || item.price === null ? null : make("p.price", amount(item.price)),
          standing(item),
          item.description ? make("p.description", item.description) : null,
          about(item),
          mayAct()
            ? make("p.for", quiet(person() === null ? "Try it out:" : `For ${name}:`), acts(item, views.get(item.item), "item"))
            : null,
          small(`Id ${item.item}`),
        ),
        make("div.panels", because, who(takers)),
      ),
      ...near.map((one) => row(one.name, one.title, one.items, { about: notes[one.kind], opinions: views })),
    ],
  };
}
