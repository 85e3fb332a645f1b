// A form for the rules of a list, and what it says as rules of the service and as TOML.

import { icon, make, small } from "./dom.js";

/** What a condition can ask of a key: its word, and what it makes of the value. */
const OPERATORS = {
  is: ["is", (key, value) => ({ key, match: { value } })],
  any: ["is one of", (key, value) => ({ key, match: { any: value } })],
  not: ["is not", (key, value) => ({ key, match: { value } })],
  lte: ["at most", (key, value) => ({ key, range: { lte: value } })],
  gte: ["at least", (key, value) => ({ key, range: { gte: value } })],
  lt: ["below", (key, value) => ({ key, range: { lt: value } })],
  gt: ["above", (key, value) => ({ key, range: { gt: value } })],
  filled: ["is known", (key) => ({ is_empty: { key } })],
  empty: ["is not known", (key) => ({ is_empty: { key } })],
};
const NEGATIVE = ["not", "filled"];
const WITHOUT_VALUE = ["filled", "empty"];
const NUMBERS = ["lte", "gte", "lt", "gt"];

/** A form that says nothing. */
export const nothing = () => ({ only: [], boosts: [], limits: [], pins: [] });

/** The form that an address holds; what is not understood is left out. */
export function read(text) {
  try {
    const said = JSON.parse(text);
    const list = (name) => (Array.isArray(said[name]) ? said[name].filter((one) => one && typeof one === "object") : []);
    return { only: list("only"), boosts: list("boosts"), limits: list("limits"), pins: list("pins") };
  } catch {
    return nothing();
  }
}

export const isNothing = (form) => !Object.values(form).some((list) => list.length);

const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);

/** The value of a condition as the service compares it; null while something is missing. */
function valueOf({ op, value = "" }, numeric) {
  const text = String(value).trim();
  if (NUMBERS.includes(op)) return number(text);
  if (op === "any")
    return text
      ? text
          .split(",")
          .map((part) => part.trim())
          .filter(Boolean)
      : null;
  return text === "" ? null : numeric ? (number(text) ?? text) : text;
}

function condition(one, known) {
  const numeric = Boolean(known.find((attribute) => attribute.key === one.key)?.range);
  const operator = OPERATORS[one.op];
  if (!operator || !one.key) return null;
  const value = WITHOUT_VALUE.includes(one.op) ? null : valueOf(one, numeric);
  if (value === null && !WITHOUT_VALUE.includes(one.op)) return null;
  return [NEGATIVE.includes(one.op) ? "must_not" : "must", operator[1](one.key, value)];
}

/** The rules that a form says; lines in which something is missing say nothing. */
export function rulesOf(form, known) {
  const rules = {};
  const filter = {};
  for (const one of form.only) {
    const [where, made] = condition(one, known) ?? [];
    if (where) (filter[where] ??= []).push(made);
  }
  if (Object.keys(filter).length) rules.filter = filter;
  const boosts = form.boosts.flatMap((one) => {
    const [where, made] = condition(one, known) ?? [];
    return where && number(one.weight) ? [{ filter: { [where]: [made] }, weight: number(one.weight) }] : [];
  });
  if (boosts.length) rules.boosts = boosts;
  const limits = form.limits
    .filter((one) => one.key && number(one.most) >= 1)
    .map((one) => ({ key: one.key, most: Math.round(number(one.most)) }));
  if (limits.length) rules.limits = limits;
  const pins = form.pins
    .filter((one) => one.item && number(one.position) >= 1)
    .map((one) => ({ item: String(one.item), position: Math.round(number(one.position)) }));
  if (pins.length) rules.pins = pins;
  return rules;
}

/** A value as TOML writes it on one line. */
export function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const name = (key) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key));
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${name(key)} = ${toml(one)}`)
      .join(", ")} }`;
  }
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

// --- The fields ----------------------------------------------------------------------------------------------------

const PARTS = {
  only: [
    "Show only items whose …",
    "Condition",
    (known) => ({ key: known[0]?.key ?? "category", op: known[0]?.range ? "lte" : "is", value: "" }),
  ],
  boosts: [
    "Push up or down those whose …",
    "Push",
    (known) => ({ key: known[0]?.key ?? "category", op: known[0]?.range ? "lte" : "is", value: "", weight: 0.5 }),
  ],
  limits: ["Not too many of a kind", "Limit", () => ({ key: "category", most: 3 })],
  pins: ["Set in place", "Item", () => ({ item: "", position: 1 })],
};
const MOST = { only: 20, boosts: 4, limits: 4, pins: 100 };
const NOTES = {
  boosts: "A push of 1 lifts the hundredth of the list to the top; below 0 it sinks.",
  pins: "A pinned item stands in its place whatever the conditions say, if it may be listed at all.",
};

let fields = 0;

/** The form; `changed` is called with each change, `find` names items by a part of their title. */
export function ruleForm(form, known, { changed, find }) {
  const box = make("form.rules", { "aria-label": "Rules", onsubmit: (event) => event.preventDefault() });
  const field = (words, control) => make("label", make("span.heard", words), control);
  const enter = (one, name, attributes) =>
    make("input", {
      autocomplete: "off",
      value: one[name] ?? "",
      ...attributes,
      oninput: (event) => {
        one[name] = event.target.value;
        changed();
      },
    });
  const choose = (one, name, options, attributes = {}, after = changed) =>
    make(
      "select",
      {
        ...attributes,
        onchange: (event) => {
          one[name] = event.target.value;
          after();
        },
      },
      ...options.map(([value, words]) => make("option", { value, selected: value === one[name] }, words)),
    );

  const again = (focus) => {
    const open = [...box.querySelectorAll("fieldset")].map((set) => set.id);
    box.replaceChildren(...sets());
    if (focus && open.length) box.querySelector(focus)?.focus();
    changed();
  };

  const keyOf = (one, keys, id, after) => {
    if (!known.length) return field("attribute", enter(one, "key", { id, placeholder: "attribute", class: "short" }));
    const options = keys.map((key) => [key, key]);
    if (one.key && !keys.includes(one.key)) options.unshift([one.key, one.key]);
    return field("attribute", choose(one, "key", options, { id }, after));
  };

  const asks = (one, id) => {
    const attribute = known.find((each) => each.key === one.key);
    const names = attribute?.range
      ? [...NUMBERS, "is", "filled", "empty"]
      : known.length
        ? ["is", "any", "not", "filled", "empty"]
        : Object.keys(OPERATORS);
    if (!names.includes(one.op)) one.op = names[0];
    const parts = [
      keyOf(
        one,
        known.map((each) => each.key),
        id,
        () => again(`#${id}`),
      ),
      field(
        "condition",
        choose(
          one,
          "op",
          names.map((name) => [name, OPERATORS[name][0]]),
          { id: `${id}-op` },
          () => again(`#${id}-op`),
        ),
      ),
    ];
    if (WITHOUT_VALUE.includes(one.op)) return parts;
    const numeric = NUMBERS.includes(one.op);
    const list = `${id}-values`;
    const hint =
      numeric && attribute?.range ? `${attribute.range.min} to ${attribute.range.max}` : one.op === "any" ? "one, another" : "value";
    parts.push(
      field(
        "value",
        enter(one, "value", {
          list: numeric ? null : list,
          type: numeric ? "number" : "text",
          step: numeric ? "any" : null,
          placeholder: hint,
          class: "value",
        }),
      ),
    );
    if (!numeric)
      parts.push(make("datalist", { id: list }, ...(attribute?.values ?? []).map((each) => make("option", { value: each.value }))));
    return parts;
  };

  const pin = (one, id) => {
    const list = make("datalist", { id: `${id}-items` });
    const named = enter(one, "item", { id, list: `${id}-items`, placeholder: "id of an item", class: "value" });
    named.addEventListener("input", async () => {
      const items = await find(named.value);
      list.replaceChildren(...items.map((item) => make("option", { value: item.item }, item.title ?? item.item)));
    });
    return [
      field("item", named),
      list,
      make("label", make("span", "at place"), enter(one, "position", { type: "number", min: 1, max: 1000, class: "short" })),
    ];
  };

  const LINES = {
    only: asks,
    boosts: (one, id) => [
      ...asks(one, id),
      make("label", make("span", "by"), enter(one, "weight", { type: "number", step: 0.1, min: -100, max: 100, class: "short" })),
    ],
    limits: (one, id) => [
      make("label", make("span", "at most"), enter(one, "most", { type: "number", min: 1, max: 1000, class: "short" })),
      "of one",
      keyOf(
        one,
        known.map((each) => each.key),
        id,
        changed,
      ),
    ],
    pins: pin,
  };

  function set(name) {
    const [words, add, fresh] = PARTS[name];
    const lines = form[name].map((one, n) => {
      const id = `rule-${(fields += 1)}`;
      const gone = () => {
        form[name].splice(n, 1);
        again(`#add-${name}`);
      };
      const remove = make(
        "button",
        { type: "button", class: "act", "aria-label": `Remove rule ${n + 1} of “${words}”`, onclick: gone },
        icon("cross"),
      );
      return make("li", make("div.fields", ...LINES[name](one, id)), remove);
    });
    const more = () => {
      form[name].push(fresh(known));
      again(`#set-${name} li:last-child :is(input, select)`);
    };
    return make(
      "fieldset",
      { id: `set-${name}`, class: lines.length ? null : "unused" },
      make("legend", words),
      NOTES[name] && form[name].length ? small(NOTES[name]) : null,
      lines.length ? make("ul.rule-lines", { role: "list" }, ...lines) : null,
      make("button", { type: "button", id: `add-${name}`, disabled: form[name].length >= MOST[name], onclick: more }, `+ ${add}`),
    );
  }

  const sets = () => Object.keys(PARTS).map(set);
  box.replaceChildren(...sets());
  return box;
}
