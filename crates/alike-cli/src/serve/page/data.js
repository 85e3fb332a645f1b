// What the server knows: people, items, what was taken, and how that grows.

import { ask, attributes, maybe, model } from "./api.js";
import { chart, table } from "./charts.js";
import { amount, count, empty, headline, lead, link, make, many, panel, percent, quiet, small } from "./dom.js";
import { to } from "./route.js";

const tile = (number, words, about = null) => make("div.tile", make("b", number), make("span", words), about ? quiet(about) : null);

function growth(days) {
  const total = days.reduce((sum, day) => sum + day.events, 0);
  if (!total)
    return empty(
      "No event has come in the last thirty days. Each POST to /v1/events counts here, as does each like when trying out is turned off.",
    );
  const date = (day) => new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" });
  const points = (field) => days.map((day, n) => ({ x: n, y: day[field], label: date(day.day), day }));
  // Of very many people only the events are counted.
  const counted = days.every((day) => day.users !== null);
  const say = ({ day }) => `${date(day.day)}: ${many(day.events, "event")}${counted ? ` by ${many(day.users, "person", "people")}` : ""}`;
  return make(
    "div.charts",
    chart({
      name: "Events per day",
      points: points("events"),
      x: "day",
      y: "events",
      format: count,
      say,
      bars: true,
      about: `${many(total, "event")} in ${days.length} days`,
    }),
    counted &&
      chart({
        name: "People per day",
        points: points("users"),
        x: "day",
        y: "people who did something",
        format: count,
        say,
        bars: true,
        about: "each counted once a day",
      }),
  );
}

/** Parts of a whole as a bar with its words below. */
function parts(words, all, of) {
  const bar = make("div.parts", { "aria-hidden": "true" });
  const legend = make("ul.legend", { role: "list" });
  of.forEach(([name, n, kind]) => {
    const piece = make("span", { class: kind });
    piece.style.setProperty("--share", n / Math.max(all, 1));
    bar.append(piece);
    legend.append(
      make("li", make("span", { class: `dot ${kind}`, "aria-hidden": "true" }), `${name}: ${count(n)} (${percent(n / Math.max(all, 1))})`),
    );
  });
  return panel(words, bar, legend);
}

function most(values, items) {
  const top = values.slice(0, 12);
  const largest = Math.max(...top.map((one) => one.items), 1);
  const line = ({ value, items: n }) => {
    const bar = make("span.bar-line", { "aria-hidden": "true" });
    bar.style.setProperty("--share", n / largest);
    return make("li", link(to("catalogue", null, { category: value }), value), quiet(` ${count(n)}`), bar);
  };
  return panel(
    "Categories",
    make("ol.reasons", { role: "list" }, ...top.map(line)),
    small(`Of ${many(items, "item")} with a category; an item may have several.`),
  );
}

export async function show() {
  const [about, told, known] = await Promise.all([model(), maybe(ask("/v1/overview")), attributes()]);
  const head = headline("Data");
  const trained = [
    tile(count(about.users), "people", "that the model was trained on"),
    tile(count(about.items), "items"),
    tile(count(about.interactions), "things taken", "that it learned from"),
  ];
  const category = known.find((one) => one.key === "category");
  const kinds = known.map((one) => [
    one.key,
    count(one.items),
    count(one.distinct),
    one.range
      ? `${amount(one.range.min)} to ${amount(one.range.max)}`
      : one.values
          .slice(0, 3)
          .map((value) => value.value)
          .join(", "),
  ]);
  const more = [
    category?.values.length ? most(category.values, category.items) : null,
    kinds.length
      ? make(
          "section.panel.wide",
          make("h2", "What items say of themselves"),
          table("Attributes of items", ["attribute", "items that have it", "different values", "such as"], kinds, [3]),
        )
      : null,
  ];
  const features = about.modalities.length
    ? `Items have features: ${about.modalities.map((one) => `${one.name} (${many(one.dim, "number")} each)`).join(", ")}.`
    : "Items have no features of text or pictures: new ones cannot be placed by what they are.";
  if (!told)
    return {
      title: "Data",
      nodes: [head, make("div.tiles", ...trained), lead(features), make("div.panels", ...more)],
    };
  const { users, items, interactions, events, density } = told;
  const warm = Math.max(items.trained - items.cold, 0);
  return {
    title: "Data",
    nodes: [
      head,
      lead(`Of every thousand items, a person has taken ${amount(Number((1000 * density).toPrecision(2)))} on average. ${features}`),
      make(
        "div.tiles",
        tile(
          count(users.trained + (users.new ?? 0)),
          "people",
          users.new ? `${count(users.new)} of them new since training` : "all known to the model",
        ),
        tile(count(items.catalogue), "items", `${count(items.listed)} listed now`),
        tile(count(interactions), "things taken", "that the model learned from"),
        tile(count(events.total), "events", "told to this server"),
      ),
      growth(events.days),
      make(
        "div.panels",
        parts("Who has taken them", items.catalogue, [
          ["taken by somebody", warm, "a"],
          ["in the data, taken by nobody (cold)", items.cold, "b"],
          ["came after training", items.new, "c"],
        ]),
        parts("What can be listed", items.catalogue, [
          ["listed now", items.listed, "a"],
          ["hidden, sold out or not there yet", items.hidden, "d"],
        ]),
        ...more,
      ),
    ],
  };
}
