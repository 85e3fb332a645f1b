// Choices as links side by side; those beyond the first are folded away.

import { count, link, make, quiet } from "./dom.js";

const FIRST = 12;

/** Chips of `values` (value and, if known, number of items); `address` makes the link of a value, or of none. */
export function chips(label, values, chosen, address) {
  if (!values.length) return null;
  const same = (value) => chosen !== null && value.toLowerCase() === chosen.toLowerCase();
  const chip = (value, words, items) => {
    const current = value === null ? chosen === null : same(value);
    const part = link(address(value), words, items === undefined ? null : quiet(` ${count(items)}`));
    part.className = "chip";
    part.dataset.key = `chip/${label}/${value ?? ""}`;
    if (current) part.setAttribute("aria-current", "true");
    return make("li", part);
  };
  // What is chosen is always in sight.
  const sorted = [...values.filter((one) => same(one.value)), ...values.filter((one) => !same(one.value))];
  const known = sorted.map(({ value, items }) => chip(value, value, items));
  const list = (parts) => make("ul.chips", { role: "list", "aria-label": label }, ...parts);
  const rest = known.slice(FIRST);
  return make(
    "div",
    list([chip(null, `Any ${label.toLowerCase()}`), ...known.slice(0, FIRST)]),
    rest.length ? make("details", make("summary", `${rest.length} more`), list(rest)) : null,
  );
}
