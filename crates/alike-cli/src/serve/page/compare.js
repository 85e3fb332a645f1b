// Two models, one person: what only one of them lists, and how far the rest moves.

import { model, other } from "./api.js";
import { face } from "./cards.js";
import { count, empty, headline, heard, lead, link, make, many, panel, quiet, small, title } from "./dom.js";
import { picker } from "./picker.js";
import { go, to } from "./route.js";
import { person, recommended } from "./session.js";

/** By how many places an item moved, as a mark. */
export function moved(before, after) {
  const by = before - after;
  if (!by) return make("span.move", heard("same place"), make("span", { "aria-hidden": "true" }, "="));
  const words = `${by > 0 ? "up" : "down"} ${Math.abs(by)}`;
  return make(
    "span",
    { class: `move ${by > 0 ? "up" : "down"}` },
    heard(words),
    make("span", { "aria-hidden": "true" }, `${by > 0 ? "▲" : "▼"} ${Math.abs(by)}`),
  );
}

/** An item as a line: its place, its picture, its title, and what is said of it. */
export const line = (item, places, mark = null) =>
  make(
    "li.line",
    make("span", { class: places.length > 1 ? "rank pair" : "rank" }, ...places),
    face(item),
    link(to("item", item.item), title(item)),
    mark,
  );

/** A column of lines under a heading. */
export const column = (heading, about, lines, empty) =>
  make(
    "section.column",
    make("h2", heading, " ", quiet(about)),
    lines.length ? make("ol.lines", { role: "list" }, ...lines) : empty(empty),
  );

const LENGTHS = [10, 20, 50];

function alone(head) {
  return {
    title: "Compare",
    nodes: [
      ...head,
      panel(
        "This server has one model only",
        make("p", "Start it with a second one, and both lists stand here side by side for the same person:"),
        make("pre", { tabindex: 0 }, "alike serve RUN --compare OTHER_RUN"),
        small(
          "RUN and OTHER_RUN are folders that alike train has written from the same data, for example with two models, or with the same model last week and today.",
        ),
      ),
    ],
  };
}

export async function show({ query }) {
  const id = person();
  const top = LENGTHS.find((length) => length === Number(query.get("top"))) ?? 20;
  const about = await model();
  const head = [make("div.top", headline(`Compare for ${id ?? "a new visitor"}`), picker("compare", id))];
  if (!about.compare) return alone(head);
  const [left, right, second] = await Promise.all([recommended({ top }), recommended({ top, model: "compare" }), other()]);
  const same = second.name === about.name;
  const names = same ? [`${about.name} (this run)`, `${second.name} (the other run)`] : [about.name, second.name];
  const places = [left, right].map((list) => new Map(list.items.map((item, n) => [item.item, n + 1])));
  const only = (list, others) => list.items.filter((item) => !others.has(item.item));
  const [first, last] = [only(left, places[1]), only(right, places[0])];
  const both = left.items.filter((item) => places[1].has(item.item));
  const still = both.filter((item) => places[0].get(item.item) === places[1].get(item.item)).length;
  const length = make(
    "select",
    { "data-key": "top", onchange: (event) => go(to("compare", id, { top: event.target.value }), { replace: true }) },
    ...LENGTHS.map((value) => make("option", { value, selected: value === top }, `${value} items`)),
  );
  const shared = make("span.share", { "aria-hidden": "true" });
  shared.style.setProperty("--share", both.length / Math.max(left.items.length, right.items.length, 1));
  const place = (item, which) => [`${places[which].get(item.item)}`];
  return {
    title: `Compare for ${id ?? "a new visitor"}`,
    nodes: [
      ...head,
      make(
        "div.bar",
        make("label", make("span", "Compare the first"), length),
        make(
          "p",
          { id: "shared" },
          shared,
          `${both.length} of ${Math.max(left.items.length, right.items.length)} are in both lists, ${count(still)} of these in the same place.`,
        ),
      ),
      left.stranger ? lead(`${left.stranger} is new: both lists are what suits most people.`) : null,
      make(
        "div.three",
        column(
          `Only ${names[0]}`,
          many(first.length, "item"),
          first.map((item) => line(item, place(item, 0))),
          "Nothing: the other model lists all of these too.",
        ),
        column(
          "In both",
          `${names[0]} → ${names[1]}`,
          both.map((item) =>
            line(item, [place(item, 0)[0], "→", place(item, 1)[0]], moved(places[0].get(item.item), places[1].get(item.item))),
          ),
          "Nothing: the lists have no item in common.",
        ),
        column(
          `Only ${names[1]}`,
          many(last.length, "item"),
          last.map((item) => line(item, place(item, 1))),
          "Nothing: the first model lists all of these too.",
        ),
      ),
    ],
  };
}
