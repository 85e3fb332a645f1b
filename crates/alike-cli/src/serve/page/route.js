// Addresses within the page: `#/item/4711`, `#/catalogue?category=shirts`. Back, reload and links work by them.

const plain = (part) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** The view that an address names, the id that it shows, and what else it says. */
export function parse(hash = location.hash) {
  const text = hash.replace(/^#\/?/, "");
  const mark = text.indexOf("?");
  const path = mark < 0 ? text : text.slice(0, mark);
  const slash = path.indexOf("/");
  const [view, id] = slash < 0 ? [path, ""] : [path.slice(0, slash), path.slice(slash + 1)];
  return { view: plain(view), id: plain(id) || null, query: new URLSearchParams(mark < 0 ? "" : text.slice(mark + 1)) };
}

/** The address of a view; what is empty of `query` is left out. */
export function to(view, id = null, query = {}) {
  const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== ""));
  const search = said.toString();
  return `#/${view}${id === null ? "" : `/${encodeURIComponent(id)}`}${search ? `?${search}` : ""}`;
}

/** Goes to an address: as a new entry of the history, or in place of this one. */
export function go(hash, { replace = false } = {}) {
  if (hash === location.hash) dispatchEvent(new Event("hashchange"));
  else if (replace) location.replace(hash);
  else location.hash = hash;
}

/** Writes another address without showing anything again. */
export function note(hash) {
  history.replaceState(history.state, "", hash);
}

// --- Where one was on a page ---------------------------------------------------------------------------------------

history.scrollRestoration = "manual";

/** How far everything is scrolled, rows included. */
export function places() {
  const rows = {};
  for (const list of document.querySelectorAll("[data-scroller]")) if (list.scrollLeft) rows[list.dataset.scroller] = list.scrollLeft;
  return { y: scrollY, rows };
}

/** Scrolls to where `places` says. */
export function scrollBack({ y = 0, rows = {} } = {}) {
  for (const list of document.querySelectorAll("[data-scroller]")) {
    const left = rows[list.dataset.scroller];
    if (left) list.scrollTo({ left, behavior: "instant" });
  }
  scrollTo({ top: y, behavior: "instant" });
}

let waiting = 0;

function remember() {
  clearTimeout(waiting);
  waiting = 0;
  history.replaceState({ places: places() }, "");
}

/** Keeps the places of this entry of the history while one scrolls, and before a link is followed. */
export function watchPlaces() {
  const soon = () => {
    waiting ||= setTimeout(remember, 250);
  };
  addEventListener("scroll", soon, { capture: true, passive: true });
  document.addEventListener("click", () => remember(), { capture: true });
  addEventListener("pagehide", remember);
  addEventListener(
    "hashchange",
    () => {
      clearTimeout(waiting);
      waiting = 0;
    },
    { capture: true },
  );
}
