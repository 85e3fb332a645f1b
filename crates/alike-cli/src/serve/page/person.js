// The page of a person, or of nobody: rows as a shop would show them. And all that is recommended to them, as one list.

import { ask, at, knownCategories } from "./api.js";
import { alikeness, grid, people, row, shared } from "./cards.js";
import { byCategory } from "./catalogue.js";
import { chips } from "./chips.js";
import { empty, headline, lead, link, make, many, quiet, title } from "./dom.js";
import { picker } from "./picker.js";
import { go, to } from "./route.js";
import { opinions, past, person, recommended, rows, tries } from "./session.js";

/** What a row of each kind is, where its title does not say it. */
const ABOUT = {
  "for-you": "chosen for them by the model",
  "similar-people": "taken by the people most like them",
  popular: "what most people take",
  trending: "taken more often than before",
  new: "the last that came",
  continue: "looked at and not taken",
  "bought-together": "often taken by the same people",
};

/** Items of a row with the reasons for each, where the model can tell. */
async function withReasons(items) {
  const allow = items.map((item) => item.item);
  const list = await recommended({ allow, top: allow.length, reasons: 2, exclude_seen: false }).catch(() => null);
  const reasons = new Map(list?.items.map((item) => [item.item, item.reasons]));
  return items.map((item) => ({ ...item, reasons: reasons.get(item.item) }));
}

/** One reason for a whole row, as its heading's second line. */
export function because(reason) {
  const word = alikeness(reason.modality);
  return make("span", "because they took ", link(to("item", reason.item), title(reason)), word ? `; ${word}` : "");
}

/** Rows without those that a fallback has shown before: their items go on where that one ends. */
function merged(all) {
  const made = [];
  for (const one of all) {
    const same = made.find((other) => other.filled_by === one.filled_by);
    if (same) same.items = [...same.items, ...one.items];
    else made.push({ ...one });
  }
  return made;
}

/** Things they took that carry several suggestions each, as rows of these; at most two. */
async function byReason(page, views) {
  if (!page.known) return [];
  const told = new Set(page.rows.map((one) => one.from_item?.item));
  const deny = page.rows.flatMap((one) => one.items.map((item) => item.item));
  const list = await recommended({ top: 80, reasons: 1, deny }).catch(() => ({ items: [] }));
  const groups = new Map();
  for (const item of list.items) {
    const reason = item.reasons?.[0];
    if (reason && !told.has(reason.item)) groups.set(reason.item, [...(groups.get(reason.item) ?? []), item]);
  }
  const largest = [...groups.values()].filter((items) => items.length > 4).sort((a, b) => b.length - a.length);
  return largest.slice(0, 2).map((items) => {
    const reason = items[0].reasons[0];
    const word = items.every((item) => item.reasons[0].modality === reason.modality) ? alikeness(reason.modality) : null;
    const about = make("span", word ? `${word} · ` : "", link(to("item", reason.item), "About this item"));
    return row(`because-${reason.item}`, `Because they took ${title(reason)}`, items.slice(0, 12), {
      about,
      reasons: false,
      opinions: views,
    });
  });
}

async function shelf(told, known, views) {
  const more = told.kind === "for-you" ? link(to("list", person() ?? undefined), "See all") : null;
  let items = told.items;
  if (told.kind === "for-you" && known) items = await withReasons(items);
  const one = shared(items);
  let about = one ? because(one) : ABOUT[told.kind];
  if (told.filled_by !== told.name) about = `${about ? `${about}; ` : ""}shown until there is more to go on`;
  else if (told.from_item && told.kind !== "bought-together") about = link(to("item", told.from_item.item), "About this item");
  return row(told.name, told.title, items, { about, more, reasons: !one, opinions: views });
}

/** What they took, and what is tried out. */
function taken(history, views) {
  const { likes, dislikes } = tries();
  const tried = [...likes, ...dislikes].reverse();
  const before = (history?.items ?? []).filter((item) => !tried.some((one) => one.item === item.item));
  const items = [...tried, ...before].slice(0, 60);
  if (!items.length) return null;
  const kinds = new Map(before.map((item) => [item.item, item.kind]));
  const badge = (item) => {
    if (likes.some((one) => one.item === item.item)) return "liked here";
    if (dislikes.some((one) => one.item === item.item)) return "not for them";
    return { like: "liked", dislike: "not for them", take: "taken lately" }[kinds.get(item.item)] ?? null;
  };
  const total = tried.length + before.length;
  const about = total > items.length ? `the newest ${items.length} of ${total}` : many(total, "item");
  return row("taken", person() === null ? "Tried out" : "Taken so far", items, { about, badge, opinions: views });
}

function introduction(history) {
  if (tries().likes.length && !history?.count) return "The page goes by what is liked here.";
  if (person() === null)
    return "Nobody is chosen: these are the rows of a visitor of whom nothing is known. Like something, and the page becomes theirs.";
  if (!history) return `${person()} is new: like something, and the page becomes theirs.`;
  if (!history.count) return `Nothing that ${person()} took is known: like something, and the page becomes theirs.`;
  const known = history.trained ? "" : " The model has not been trained on them; it places them by what they took.";
  return `${many(history.count, "thing")} they took ${history.count === 1 ? "is" : "are"} known.${known}`;
}

export async function show() {
  const id = person();
  const near = async () => ((await past())?.count ? ask(`/v1/users/${at(id)}/similar?top=6`).catch(() => null) : null);
  const [history, views, page, alike] = await Promise.all([past(), opinions(), rows(), near()]);
  const own = page.known ? [] : await byCategory(await knownCategories(), views);
  const [shelves, grouped] = await Promise.all([
    Promise.all(merged(page.rows).map((one) => shelf(one, page.known, views))),
    byReason(page, views),
  ]);
  shelves.splice(1, 0, ...grouped);
  const name = id ?? "A new visitor";
  const like = alike?.users.map((one) => one.user).filter((user) => user !== id) ?? [];
  return {
    title: name,
    nodes: [
      make("div.top", headline(name), picker("person", id)),
      lead(
        introduction(history),
        like.length ? make("span.alike", " People like them: ", people(like.slice(0, 5))) : null,
        id === null ? null : [" ", link("#/person", "Look as a new visitor")],
      ),
      ...shelves,
      ...own,
      shelves.length
        ? null
        : empty("The server has no row to show. Its catalogue may be hidden or sold out: see ", link("#/data", "Data"), "."),
      taken(history, views),
    ],
  };
}

// --- All of it -----------------------------------------------------------------------------------------------------

const STEP = 24;
const MOST = 240;

/** The whole list of a person, with a category, variety, and what they have already. */
export async function showList({ query }) {
  const id = person();
  const category = query.get("category");
  const variety = Math.min(Math.max(Number(query.get("variety")) || 0, 0), 1);
  const again = query.get("again") === "1";
  const top = Math.min(Math.max(Number(query.get("top")) || STEP, STEP), MOST);
  const [list, views, known] = await Promise.all([
    recommended({ top, diversity: variety, exclude_seen: !again, reasons: 1, ...(category ? { category } : {}) }),
    opinions(),
    knownCategories(),
  ]);
  const address = (more) =>
    to("list", id, { category, variety: variety || null, again: again ? 1 : null, top: top > STEP ? top : null, ...more });
  const change = (more) => go(address(more), { replace: true });
  const one = shared(list.items);
  const slider = make("input", {
    type: "range",
    id: "variety",
    min: 0,
    max: 0.9,
    step: 0.1,
    value: variety,
    "aria-valuetext": `${variety} of 1`,
    "data-key": "variety",
    onchange: (event) => change({ variety: Number(event.target.value) || null }),
  });
  const box = make("input", {
    type: "checkbox",
    checked: again,
    "data-key": "again",
    onchange: (event) => change({ again: event.target.checked ? 1 : null }),
  });
  const whose = id ?? "a new visitor";
  return {
    title: `All for ${whose}`,
    said: many(list.items.length, "item"),
    nodes: [
      make("nav.crumbs", { "aria-label": "Breadcrumb" }, link(to("person", id ?? undefined), whose)),
      headline(`All for ${whose}`),
      list.stranger ? lead(`${list.stranger} is new: like something, and the list becomes theirs.`) : null,
      chips("Category", known, category, (value) => address({ category: value, top: null })),
      make(
        "div.bar",
        make("label.slide", make("span", "Variety"), quiet("best match"), slider, quiet("all different")),
        make("label.check", box, " also what they have"),
      ),
      one ? lead("All of these ", because(one), ".") : null,
      grid(list.items, { key: "all", opinions: views, reasons: !one, none: "Nothing is left to recommend here." }),
      list.items.length >= top && top < MOST
        ? make("p.more", make("button", { type: "button", "data-key": "more", onclick: () => change({ top: top + STEP }) }, "Show more"))
        : null,
    ],
  };
}
