// Who is looked at, and what is tried out for them: kept in this tab only, unless trying out is turned off.

import { ask, at, maybe, post } from "./api.js";
import { title } from "./dom.js";

const read = (name, otherwise) => {
  try {
    return JSON.parse(sessionStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
};
const write = (name, value) => sessionStorage.setItem(name, JSON.stringify(value));

const state = {
  person: read("alike-person", null),
  trying: read("alike-trying", true),
  /** By person ("" is nobody): items liked and disliked here, oldest first. */
  tries: read("alike-tries", {}),
};

/** Histories by person, until something is written. */
const histories = new Map();

export const person = () => state.person;
export const trying = () => state.trying;

export function setPerson(id) {
  state.person = id;
  write("alike-person", id);
}

function changed() {
  document.dispatchEvent(new Event("alike-changed"));
}

export function setTrying(on) {
  state.trying = on;
  write("alike-trying", on);
  changed();
}

const triesOf = (id) => state.tries[id ?? ""] ?? { likes: [], dislikes: [] };

/** What is tried out for the person now. */
export const tries = () => (state.trying ? triesOf(state.person) : { likes: [], dislikes: [] });

export function forgetTries() {
  delete state.tries[state.person ?? ""];
  write("alike-tries", state.tries);
  changed();
}

const has = (list, id) => list.some((item) => item.item === id);

/** What somebody did, newest first; null where nobody knows them. */
export async function past(id = state.person) {
  if (id === null) return null;
  if (!histories.has(id)) {
    const load = maybe(ask(`/v1/users/${at(id)}/history?top=1000`));
    histories.set(id, load);
    load.catch(() => histories.delete(id));
  }
  return histories.get(id);
}

/** Forgets what was asked: somebody else may have written meanwhile. */
export const fresh = () => histories.clear();

/** Who a list is for, as requests say it: what is tried out counts, and nothing of it is written. */
async function subject(id = state.person) {
  const { likes, dislikes } = state.trying ? triesOf(id) : { likes: [], dislikes: [] };
  const deny = dislikes.map((item) => item.item);
  if (!likes.length) return { ...(id === null ? { items: [] } : { user: id }), deny };
  const history = (await past(id))?.items ?? [];
  const taken = history.filter((item) => item.kind !== "dislike" && !has(dislikes, item.item));
  const disliked = history.filter((item) => item.kind === "dislike" && !has(likes, item.item));
  // Oldest first: rows that come from one item take the last.
  const items = [...taken.map((item) => item.item).reverse(), ...likes.map((item) => item.item)];
  return { items: [...new Set(items.reverse())].slice(0, 1000).reverse(), deny: [...disliked.map((i) => i.item), ...deny].slice(0, 1000) };
}

/** A list for the person; for one whom nobody knows, what suits most people. */
export async function recommended(more = {}, id = state.person) {
  const whom = await subject(id);
  const body = { ...whom, ...more, deny: [...whom.deny, ...(more.deny ?? [])] };
  try {
    return await post("/v1/recommendations", body);
  } catch (error) {
    if (error.code !== "unknown_user") throw error;
    const { user, ...rest } = body;
    return { ...(await post("/v1/recommendations", { ...rest, items: [] })), stranger: user };
  }
}

/** Rows of a page for the person; all scenarios of the server without `rows`. */
export async function rows(more = {}) {
  return post("/v1/page", { ...(await subject()), ...more });
}

/** Whether the person likes or dislikes an item, by what is tried out or by events: "like", "dislike" or null. */
export async function opinions() {
  const of = new Map();
  for (const item of (await past())?.items ?? []) if (item.kind === "like" || item.kind === "dislike") of.set(item.item, item.kind);
  for (const item of tries().likes) of.set(item.item, "like");
  for (const item of tries().dislikes) of.set(item.item, "dislike");
  return of;
}

/** Whether anything can be liked: events need a person, trying out does not. */
export const mayAct = () => state.trying || state.person !== null;

const WORDS = { like: "Liked", dislike: "Not for them", remove: "Taken back" };

/** Likes or dislikes an item, or takes that back where it is so already; says what came of it. */
export async function opine(item, kind) {
  const before = (await opinions()).get(item.item) ?? null;
  const now = before === kind ? "remove" : kind;
  const words = `${WORDS[now]}: ${title(item)}.`;
  if (!state.trying) {
    await post("/v1/events", { user: state.person, item: item.item, kind: now });
    histories.delete(state.person);
    changed();
    return `${words} It is written, and the page is new.`;
  }
  const { likes, dislikes } = triesOf(state.person);
  const others = (list) => list.filter((one) => one.item !== item.item);
  const { item: id, title: name, category, image, price } = item;
  const one = { item: id, title: name, category, image, price };
  state.tries[state.person ?? ""] = {
    likes: now === "like" ? [...others(likes), one] : others(likes),
    dislikes: now === "dislike" ? [...others(dislikes), one] : others(dislikes),
  };
  write("alike-tries", state.tries);
  changed();
  if (now === "remove" && !has(likes, id) && !has(dislikes, id))
    return `${title(item)}: that is an event of theirs; turn trying out off to take it back.`;
  return `${words} The page is new; nothing is written.`;
}

/** Some person of whom the model knows. */
export async function anybody() {
  const { users } = await ask("/v1/users?query=&top=1000");
  const others = users.length > 1 ? users.filter((user) => user !== state.person) : users;
  return others[Math.floor(Math.random() * others.length)] ?? null;
}
