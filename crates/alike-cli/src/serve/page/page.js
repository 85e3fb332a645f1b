// The page of `alike serve`: its frame, and which view stands in it. What it shows comes from the service's own
// routes, see docs/api.md; no view writes anything unless trying out is turned off.

import { model } from "./api.js";
import * as catalogue from "./catalogue.js";
import * as compare from "./compare.js";
import * as data from "./data.js";
import { count, fading, guarded, headline, icon, lead, link, make, many, say, tell } from "./dom.js";
import * as item from "./item.js";
import * as people from "./person.js";
import { go, parse, places, scrollBack, to, watchPlaces } from "./route.js";
import * as rules from "./rules.js";
import { anybody, forgetTries, fresh, person, setPerson, setTrying, tries, trying } from "./session.js";
import * as tests from "./tests.js";
import * as training from "./training.js";

const $ = (id) => document.getElementById(id);

/** By the first part of an address. The id of those that are about a person is that person's. */
const VIEWS = {
  person: { show: people.show, ofPerson: true, nav: "person" },
  list: { show: people.showList, ofPerson: true, nav: "person" },
  catalogue: { show: catalogue.show, nav: "catalogue" },
  item: { show: item.show, nav: "catalogue" },
  compare: { show: compare.show, ofPerson: true, nav: "compare" },
  data: { show: data.show, nav: "data" },
  training: { show: training.show, nav: "training" },
  rules: { show: rules.show, ofPerson: true, nav: "rules" },
  tests: { show: tests.show, nav: "tests" },
};

let turn = 0;
/** The address that is shown, and the last one that is no item's: the way back from an item. */
let shown = null;
let from = null;

/** The page of the last person, or of somebody whom the model knows. */
async function home() {
  const id = person() ?? (await anybody().catch(() => null));
  location.replace(to("person", id));
}

function lost(route) {
  return {
    title: "Not here",
    nodes: [headline("Nothing is here"), lead(`The page has no view “${route.view}”. `, link("#/", "To the start"))],
  };
}

function failed(error, route) {
  const words = { unknown_item: "There is no such item", no_compare: "There is no second model" }[error.code] ?? "This did not work";
  const again = make("button", { type: "button", onclick: () => render({ keep: true }) }, "Try again");
  return {
    title: words,
    nodes: [
      headline(words),
      make("p.failed", error.message),
      make(
        "p.bar",
        again,
        link("#/catalogue", "Look in the catalogue"),
        route.view === "person" ? null : link(to("person", person()), "Back to the person"),
      ),
    ],
  };
}

/** What can be found again after the page was made again: the element with the focus. */
function held() {
  const part = document.activeElement;
  const name = part?.dataset?.key;
  if (!name || !$("main").contains(part)) return () => {};
  const row = name.slice(0, name.indexOf("/") + 1);
  return () => {
    const all = [...$("main").querySelectorAll("[data-key]")];
    const near = all.find((one) => one.dataset.key === name) ?? all.find((one) => row && one.dataset.key.startsWith(row));
    near?.focus({ preventScroll: true });
  };
}

/** Shows what the address says. `keep`: the same view with news in it, where focus and places stay. */
async function render({ keep = false, back = null } = {}) {
  const mine = (turn += 1);
  const route = parse();
  const view = VIEWS[route.view];
  if (!route.view) return home();
  if (view?.ofPerson && (route.id !== null || route.view === "person")) setPerson(route.id);
  if (!keep) fresh();
  header(view);
  const main = $("main");
  main.setAttribute("aria-busy", "true");
  let made;
  try {
    if (route.view === "item" && route.id === null) return go("#/catalogue", { replace: true });
    made = view ? await view.show({ ...route, from }) : lost(route);
  } catch (error) {
    made = failed(error, route);
  }
  if (mine !== turn) return;
  const [before, refocus] = [places(), held()];
  main.replaceChildren(...made.nodes.filter(Boolean));
  main.removeAttribute("aria-busy");
  document.title = `${made.title} – alike`;
  const first = shown === null;
  shown = location.hash;
  if (route.view !== "item") from = { hash: location.hash, title: { person: person() ?? "New visitor" }[route.view] ?? made.title };
  if (keep) {
    tell(made.said ?? "");
    scrollBack(before);
    refocus();
  } else {
    if (!first) main.querySelector("h1")?.focus({ preventScroll: true });
    scrollBack(back ?? {});
  }
}

// --- The frame -----------------------------------------------------------------------------------------------------

function header(view) {
  for (const part of document.querySelectorAll("nav [data-nav]")) {
    const here = part.dataset.nav === view?.nav;
    if (here) part.setAttribute("aria-current", "page");
    else part.removeAttribute("aria-current");
    if (here) part.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (["person", "compare", "rules"].includes(part.dataset.nav)) part.href = to(part.dataset.nav, person());
  }
  $("me").replaceChildren(icon("person"), person() ?? "New visitor");
  $("me").href = to("person", person());
  $("me").title = person() === null ? "Nobody is chosen" : `The page of ${person()}`;
  $("trying").setAttribute("aria-checked", String(trying()));
  const { likes, dislikes } = tries();
  const banner = $("banner");
  banner.className = trying() ? "trying" : "writing";
  const tried = [likes.length ? many(likes.length, "like") : "", dislikes.length ? many(dislikes.length, "dislike") : ""]
    .filter(Boolean)
    .join(", ");
  banner.replaceChildren(
    ...(trying()
      ? [
          make("span", make("b", "Trying out:"), " nothing is written."),
          tried ? make("span", `${tried} here. `, make("button", { type: "button", class: "text", onclick: forget }, "Forget them")) : "",
        ]
      : [
          make(
            "span",
            make("b", "Writing."),
            person() === null
              ? " Choose a person: likes are then written as their events."
              : ` Likes are written as events of ${person()}, and lists count them.`,
          ),
        ]),
  );
}

function forget() {
  forgetTries();
  say("What was tried out is forgotten.", true);
  $("trying").focus();
}

async function footer() {
  const about = await model();
  $("model").textContent =
    `${about.name} on ${about.data}: ${many(about.users, "person", "people")}, ${many(about.items, "item")}, ${count(about.interactions)} things taken`;
}

$("trying").addEventListener("click", () => {
  setTrying(!trying());
  say(trying() ? "Trying out: nothing is written." : "Likes are written from now on.", true);
});
$("skip").addEventListener("click", () => ($("main").querySelector("h1") ?? $("main")).focus());
document.addEventListener("alike-changed", () => render({ keep: true }));
fading(document.querySelector("nav"));
// A picture that misses its place must not take the page away.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());

addEventListener("hashchange", () => {
  say("");
  // Controls of a view write their choices into its address: what they stand in stays as it is.
  const [now, before] = [parse(), parse(shown ?? "")];
  const keep =
    $("main").contains(document.activeElement) &&
    document.activeElement.matches("select, input, [data-key=more], .chip") &&
    now.view === before.view &&
    now.id === before.id &&
    !history.state?.places;
  render({ keep, back: history.state?.places });
});

watchPlaces();
await guarded(() => Promise.all([render({ back: history.state?.places }), footer()]))();
