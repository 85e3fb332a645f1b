// Rules of a list, tried out before anybody sees them: what they change for a person, and how they are written down.

import { ask, at, attributes, knownCategories } from "./api.js";
import { column, line, moved } from "./compare.js";
import { calm, guarded, headline, heard, lead, make, many, quiet, say, small, tell } from "./dom.js";
import { picker } from "./picker.js";
import { note, parse, to } from "./route.js";
import { isNothing, nothing, read, ruleForm, rulesOf, toml } from "./ruleform.js";
import { person, recommended } from "./session.js";

const TOP = 20;

/** Text to copy, with a button that does. */
function copyable(words, text) {
  const shown = make("pre", { tabindex: 0, "aria-label": words }, text);
  const copy = guarded(async () => {
    // Browsers hand out the clipboard on secure pages only.
    if (!navigator.clipboard) return getSelection().selectAllChildren(shown);
    await navigator.clipboard.writeText(text);
    say(`${words}: copied.`, true);
  });
  return make(
    "div.copy",
    make("h3", words),
    make("button", { type: "button", onclick: copy, "aria-label": `Copy ${words}` }, "Copy"),
    shown,
  );
}

/** The rules as JSON, a line for each part. */
function json(rules) {
  const part = ([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)}`;
  return `{"rules": {\n${Object.entries(rules).map(part).join(",\n")}\n}}`;
}

function written(rules) {
  const scenario = `[[scenarios]]\nname = "for-you"\ntitle = "For you"\nkind = "for-you"\nrules = ${toml(rules)}`;
  return make(
    "details.fold",
    { open: true },
    make("summary", "Written down"),
    small(
      "The first goes into the body of POST /v1/recommendations, the second into the file of --scenarios: there it counts for everybody.",
    ),
    copyable("JSON", json(rules)),
    copyable("TOML", scenario),
  );
}

/** Both lists beside each other, with what moved. */
function lists(plain, ruled) {
  const before = new Map(plain.items.map((item, n) => [item.item, n + 1]));
  const after = new Map(ruled.items.map((item, n) => [item.item, n + 1]));
  const mark = (item, place) => {
    const was = before.get(item.item);
    return was ? moved(was, place) : make("span.move.up", heard("newly in the list"), make("span", { "aria-hidden": "true" }, "new"));
  };
  const gone = (item) => (after.has(item.item) ? null : make("span.move.down", "gone"));
  const came = ruled.items.filter((item) => !before.has(item.item)).length;
  const left = plain.items.filter((item) => !after.has(item.item)).length;
  const stay = ruled.items.filter((item, n) => before.get(item.item) === n + 1).length;
  const words =
    came || left || stay < ruled.items.length
      ? `${many(came, "item")} came, ${left} went, ${stay} of ${ruled.items.length} stand where they stood.`
      : "These rules change nothing in the first places of this list.";
  const few =
    ruled.items.length < plain.items.length
      ? ` No more than ${many(ruled.items.length, "item")} can be listed: the conditions are narrow.`
      : "";
  tell(words + few);
  return [
    lead(words, few),
    make(
      "div.two",
      column(
        "With the rules",
        "",
        ruled.items.map((item, n) => line(item, [n + 1], mark(item, n + 1))),
        "Nothing passes these conditions.",
      ),
      column(
        "Without",
        "",
        plain.items.map((item, n) => line(item, [n + 1], gone(item))),
        "Nothing is recommended.",
      ),
    ),
  ];
}

/** Forms to begin with, made of what the catalogue has. */
function examples(known, categories) {
  const found = [["At most 2 of a category", { ...nothing(), limits: [{ key: "category", most: 2 }] }]];
  const [first, second] = categories;
  if (first)
    found.push([
      `Push ${first.value} up`,
      { ...nothing(), boosts: [{ key: "category", op: "is", value: first.value, weight: 0.5 }] },
    ]);
  if (second)
    found.push([`No ${second.value}`, { ...nothing(), only: [{ key: "category", op: "not", value: second.value }] }]);
  const price = known.find((one) => one.key === "price" && one.range);
  if (price)
    found.push([
      `Price up to ${Math.ceil((price.range.min + price.range.max) / 2)}`,
      { ...nothing(), only: [{ key: "price", op: "lte", value: Math.ceil((price.range.min + price.range.max) / 2) }] },
    ]);
  return found;
}

export async function show({ query }) {
  const id = person();
  const [told, categories, plain] = await Promise.all([attributes(), knownCategories(), recommended({ top: TOP })]);
  const known = told.length
    ? told
    : categories.length
      ? [{ key: "category", values: categories, distinct: categories.length, range: null }]
      : [];
  const form = read(query.get("rules"));
  const preview = make("div");
  let turn = 0;
  const draw = async () => {
    // People who have left meanwhile are not brought back.
    if (parse().view !== "rules") return;
    const mine = (turn += 1);
    const rules = rulesOf(form, known);
    note(to("rules", id, { rules: isNothing(form) ? null : JSON.stringify(form) }));
    const none = !Object.keys(rules).length;
    try {
      const ruled = none ? plain : await recommended({ top: TOP, rules });
      if (mine !== turn) return;
      say("");
      preview.replaceChildren(
        ...(none
          ? [
              lead("No rule says anything yet: this is the list as it is."),
              column(
                "The list",
                "",
                plain.items.map((item, n) => line(item, [n + 1])),
                "Nothing is recommended.",
              ),
            ]
          : [...lists(plain, ruled), written(rules)]),
      );
    } catch (error) {
      if (mine === turn) preview.replaceChildren(make("p.failed", error.message));
    }
  };
  const find = async (words) =>
    words.trim() ? (await ask(`/v1/items?query=${at(words.trim())}&top=12`).catch(() => ({ items: [] }))).items : [];
  const place = make("div");
  const build = () => place.replaceChildren(ruleForm(form, known, { changed: calm(draw), find }));
  const begin = (example) => () => {
    Object.assign(form, structuredClone(example));
    build();
    draw();
  };
  build();
  await draw();
  const whose = id ?? "a new visitor";
  return {
    title: `Rules for ${whose}`,
    nodes: [
      make("div.top", headline(`Rules, tried for ${whose}`), picker("rules", id)),
      lead("Say what a list may hold, and see at once what that changes. Nothing here is kept by the server."),
      make(
        "div.bar.examples",
        quiet("Begin with:"),
        ...examples(known, categories).map(([words, example]) =>
          make("button", { type: "button", class: "chip", onclick: begin(example) }, words),
        ),
        make("button", { type: "button", class: "chip", onclick: begin(nothing()) }, "Nothing"),
      ),
      make("div.editor", place, preview),
    ],
  };
}
