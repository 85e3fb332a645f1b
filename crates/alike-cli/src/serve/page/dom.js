// Elements, drawings, words and numbers.

/**
 * Makes an element: `make("p.quiet", { id: "x" }, …)`. Attributes may be left out; the rest are texts and elements,
 * never markup.
 */
export const make = (tag, ...rest) => dress((name) => document.createElement(name), tag, rest);

/** The same for a part of a drawing. */
export const draw = (tag, ...rest) => dress((name) => document.createElementNS("http://www.w3.org/2000/svg", name), tag, rest);

function dress(create, tag, rest) {
  const [name, ...classes] = tag.split(".");
  const element = create(name);
  if (classes.length) element.classList.add(...classes);
  const attributes = rest[0]?.constructor === Object ? rest.shift() : {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...rest.flat().filter((part) => part !== undefined && part !== null && part !== false));
  return element;
}

const SHAPES = {
  heart: "M12 20S4 15 4 9.3C4 6.6 6 5 8 5c1.7 0 3.2 1 4 2.6C12.8 6 14.3 5 16 5c2 0 4 1.6 4 4.3C20 15 12 20 12 20Z",
  cross: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  on: "M9 5l7 7-7 7",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20c.7-3.6 3.7-5.5 7.5-5.5s6.8 1.9 7.5 5.5",
  picture: "M4 5h16v14H4ZM4 16l5-5 4 4 3-3 4 4M15.5 9.500h.01",
  other:
    "M4 7h3c5 0 5 10 10 10h3M4 17h3c2 0 3.2-1.6 4.2-3.400M14.5 8.800C15.3 7.7 16 7 17 7h3M17.5 4.5 20 7l-2.5 2.500M17.5 14.5 20 17l-2.5 2.5",
};

/** A small drawing that says nothing by itself. */
export const icon = (name) =>
  draw("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, draw("path", { d: SHAPES[name] }));

/** A link within the page. */
export const link = (href, ...content) => make("a", { href }, ...content);

/** Words for those who hear the page only. */
export const heard = (...content) => make("span.heard", ...content);

export const quiet = (...content) => make("span.quiet", ...content);
export const small = (...content) => make("p.quiet", ...content);
export const lead = (...content) => make("p.lead", ...content);
export const empty = (...content) => make("p.empty", ...content);

/** The heading of a view, which gets the focus when one comes there. */
export const headline = (...content) => make("h1", { tabindex: -1 }, ...content);

export const panel = (head, ...content) => make("section.panel", make("h2", head), ...content);

export const title = (item) => item.title ?? `item ${item.item}`;
export const categories = (item) => (item.category ?? "").split(", ").filter(Boolean);

export const count = (n) => Number(n).toLocaleString("en");
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;
/** A share in words of people: 29 %, or 0.4 % where it is small. */
export const percent = (share) => `${(100 * share).toFixed(Math.abs(share) < 0.0995 && share !== 0 ? 1 : 0)}\u202f%`;
export const amount = (n) =>
  Number(n).toLocaleString("en", { minimumFractionDigits: Number.isInteger(n) ? 0 : 2, maximumFractionDigits: 2 });

let vanishing = 0;

/** Says something to everybody, screen readers included. Errors stay until the next action. */
export function say(text, good = false) {
  const note = document.getElementById("note");
  clearTimeout(vanishing);
  note.textContent = text;
  note.className = good ? "good" : "";
  if (good) vanishing = setTimeout(() => (note.textContent = ""), 7000);
}

/** Says something to those who hear the page; others see it where it stands. */
export const tell = (text) => (document.getElementById("told").textContent = text);

/** Lets what can be scrolled on fade at its end; `then` hears how far it can be scrolled. */
export function fading(box, then = () => {}) {
  const look = () => {
    const room = box.scrollWidth - box.clientWidth;
    box.classList.toggle("further", box.scrollLeft < room - 4);
    then(room);
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box);
  return box;
}

/** Runs an action and shows what went wrong, if anything did. */
export const guarded = (action) => async (event) => {
  event?.preventDefault?.();
  say("");
  try {
    await action(event);
  } catch (error) {
    say(error.message);
  }
};

/** Waits until nothing has happened for a while. */
export function calm(action, wait = 250) {
  let waiting = 0;
  return (...given) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => action(...given), wait);
  };
}
