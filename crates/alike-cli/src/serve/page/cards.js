// Items as cards, in rows to scroll and in grids.

import { picture } from "./api.js";
import { amount, categories, empty, fading, guarded, heard, icon, link, make, say, small, title } from "./dom.js";
import { to } from "./route.js";
import { mayAct, opine } from "./session.js";

/** A number from 0 to 359 that is the same for the same text: the hue of a cover without a picture. */
const hue = (text) => Math.round(([...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) * 137.508) % 360);

// Pictures that are elsewhere are not fetched: the page works offline, and nobody else learns of it.
const hasPicture = (item) => Boolean(item.image?.startsWith("/"));

/** An item's picture, or a cover of letters where there is none. */
export function face(item, { whole = false, eager = false } = {}) {
  const box = make("span", { class: whole ? "face whole" : "face" });
  box.style.setProperty("--hue", hue(item.category ?? title(item)));
  const name = whole ? title(item) : title(item).slice(0, 1).toUpperCase();
  box.append(make("span.letter", { "aria-hidden": whole ? null : "true" }, name));
  if (!hasPicture(item)) return box;
  const image = make("img", { alt: "", loading: eager ? null : "lazy", decoding: "async" });
  image.addEventListener("load", () => {
    const shape = image.naturalWidth / image.naturalHeight;
    box.classList.add("seen");
    // Cutting a little off looks better than bars; cutting off much does not.
    if (shape < 0.6 || shape > 1.1) box.classList.add("fit");
  });
  image.addEventListener("error", () => image.remove());
  box.append(image);
  picture(item.image).then(
    (source) => (image.src = source),
    () => image.remove(),
  );
  return box;
}

const VERBS = { text: "reads", words: "reads", image: "looks", visual: "looks", audio: "sounds" };

/** What of an item is like another, in plain words. */
export const alikeness = (modality) => (modality ? `${VERBS[modality] ?? `by ${modality},`} alike` : null);

/** Why an item is there. */
export function why(reasons) {
  const [first] = reasons ?? [];
  if (!first) return null;
  const verb = VERBS[first.modality];
  return make("p.why", { title: `because of ${title(first)}` }, verb ? `${verb} like ` : "because of ", make("b", title(first)));
}

/** The reason that all of `items` share, if they do. */
export function shared(items) {
  const first = items[0]?.reasons?.[0];
  return first && items.length > 1 && items.every((item) => item.reasons?.[0]?.item === first.item) ? first : null;
}

function act(item, kind, opinion, key) {
  const [words, drawing] = kind === "like" ? ["Like", "heart"] : ["Not for me:", "cross"];
  const press = guarded(async () => say(await opine(item, kind), true));
  const label = `${words} ${title(item)}`;
  const pressed = String(opinion === kind);
  return make(
    "button",
    {
      type: "button",
      class: `act ${kind}`,
      "aria-label": label,
      title: kind === "like" ? "Like" : "Not for me",
      "aria-pressed": pressed,
      "data-key": `${key}/${kind}`,
      onclick: press,
    },
    icon(drawing),
  );
}

/** The two small buttons of an item. */
export const acts = (item, opinion, key) => make("span.acts", act(item, "like", opinion, key), act(item, "dislike", opinion, key));

/** A card. `bare` cards have their title on the cover; `badge` is a word on it; `opinions` makes buttons. */
function card(item, { key = "card", place = 0, bare = false, badge = null, reasons = true, opinions = null } = {}) {
  const name = `${key}/${place}`;
  const about = [categories(item).slice(0, 3).join(", "), item.price === undefined ? "" : amount(item.price)].filter(Boolean);
  const label = make("a.go", { href: to("item", item.item), "data-key": name }, face(item, { whole: bare }));
  if (badge) label.firstChild.append(make("span.badge", badge));
  if (!bare) label.append(make("span.title", title(item)));
  const part = make("li.card", label);
  if (about.length) part.append(make("p.about", { title: item.category ?? "" }, about.join(" · ")));
  if (reasons) part.append(why(item.reasons) ?? "");
  if (opinions && mayAct()) part.append(acts(item, opinions.get(item.item), name));
  return part;
}

const cardsOf = (items, options) => {
  const bare = !items.some(hasPicture);
  return { bare, cards: items.map((item, place) => card(item, { ...options, place, bare, badge: options.badge?.(item) })) };
};

/** A grid of cards. */
export function grid(items, { key = "grid", none = "Nothing here.", ...options } = {}) {
  if (!items.length) return empty(none);
  const { bare, cards } = cardsOf(items, { key, ...options });
  return make("ul", { class: bare ? "grid bare" : "grid", role: "list" }, ...cards);
}

/** A row of cards to scroll: by hand, with its buttons, with the arrow keys. `more` stands beside the heading. */
export function row(name, heading, items, { about = null, more = null, ...options } = {}) {
  const id = `row-${name.replace(/\W/g, "-")}`;
  const { bare, cards } = cardsOf(items, { key: name, ...options });
  const list = make(
    "ul",
    { class: bare ? "row bare" : "row", role: "list", "data-scroller": name, "aria-labelledby": id, "aria-describedby": "row-help" },
    ...cards,
  );
  const step = (way) => list.scrollBy({ left: way * Math.max(list.clientWidth * 0.85, 120) });
  const button = (way, words, drawing) =>
    make(
      "button",
      { type: "button", class: "step", "aria-label": `${words}: ${heading}`, "data-key": `${name}/step${way}`, onclick: () => step(way) },
      icon(drawing),
    );
  const [back, on] = [button(-1, "Back", "back"), button(1, "Further", "on")];
  fading(list, (room) => {
    back.disabled = list.scrollLeft < 4;
    on.disabled = list.scrollLeft > room - 4;
    back.hidden = on.hidden = room < 4;
  });
  rove(list);
  const head = make("div.head", make("h2", { id }, heading), about ? small(about) : null, more, make("span.steps", back, on));
  return make("section.shelf", { "aria-labelledby": id }, head, list);
}

/** One card of a row is reached with Tab, the others from there with the arrow keys. */
function rove(list) {
  const cards = [...list.children];
  const parts = (card) => [...card.querySelectorAll("a, button")];
  const only = (chosen) => cards.forEach((card) => parts(card).forEach((part) => (part.tabIndex = card === chosen ? 0 : -1)));
  only(cards[0]);
  list.addEventListener("focusin", (event) => {
    const chosen = event.target.closest("li");
    only(chosen);
    chosen.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  list.addEventListener("keydown", (event) => {
    const here = cards.findIndex((card) => card.contains(document.activeElement));
    const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: cards.length - 1 }[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const kind = parts(cards[here]).indexOf(document.activeElement);
    const into = cards[next] && parts(cards[next]);
    into?.[Math.min(Math.max(kind, 0), into.length - 1)].focus();
  });
}

/** A line of links to people. */
export const people = (ids) => make("span.people", ...ids.map((id) => link(to("person", id), heard("Person "), id)));
