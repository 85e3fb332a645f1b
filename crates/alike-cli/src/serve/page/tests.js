// What came of tests on real people: each arm, how it differs from the first, and what that says.

import { ask, maybe } from "./api.js";
import { interval, table } from "./charts.js";
import { count, headline, heard, make, many, panel, quiet, small } from "./dom.js";

const percent = (share) => `${Number((100 * share).toFixed(1))}\u202f%`;
const points = (share) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${(Math.abs(share) * 100).toFixed(1)}`;
const span = ([low, high], format = percent) => `${format(low)} to ${format(high)}`;
const KINDS = { take: "took something", like: "liked something", view: "looked at something", dislike: "disliked something" };
const outcomeOf = (test) => (test.outcome ?? []).map((kind) => KINDS[kind] ?? kind).join(" or ");

const EXAMPLE = `[[tests]]
name = "home"

[[tests.arms]]
name = "now"

[[tests.arms]]
name = "mixed"
diversity = 0.3`;

function none() {
  return panel(
    "No test is running",
    make(
      "p",
      "A test shows one part of the people one list and another part another, for example of another model or with more variety, and counts who then takes something. Write a file:",
    ),
    make("pre", { tabindex: 0, "aria-label": "A file of tests" }, EXAMPLE),
    make("p", "start the server with it, and have requests for lists name the test:"),
    make(
      "pre",
      { tabindex: 0, "aria-label": "How to start the server" },
      'alike serve RUN --tests tests.toml\n\nPOST /v1/recommendations  {"user": "anna", "test": "home"}',
    ),
    small(
      'An arm can name model = "compare" where the server has a second model. What came of it stands here from the first list that is shown and the first event that follows.',
    ),
  );
}

const VERDICTS = {
  better: (arm, against, by) => [`${arm} is better than ${against}${by}. It is safe to stop here.`, "good"],
  worse: (arm, against, by) => [`${arm} is worse than ${against}${by}. It is safe to stop here.`, "bad"],
  open: (arm, against) => [`Not decided yet between ${arm} and ${against}: zero lies in the interval. Wait for more people.`, "plain"],
};

function verdict(one) {
  if (!Number.isFinite(one.difference))
    return make("p.verdict.plain", `Nothing can be said of ${one.arm} and ${one.against} yet: too few people were shown a list.`);
  const by = ` by ${points(Math.abs(one.difference)).replace("+", "")} percentage points`;
  const [words, kind] = (VERDICTS[one.verdict] ?? VERDICTS.open)(one.arm, one.against, by);
  return make("p", { class: `verdict ${kind}` }, words);
}

function arms(test) {
  const high = Math.max(...test.arms.map((arm) => Math.min(arm.interval?.[1] ?? 0, 1)), 0.01);
  const head = ["arm", "share of people", "people shown", `of them ${outcomeOf(test)}`, "rate", "interval", heard("drawn")];
  const rows = test.arms.map((arm) => [
    arm.name,
    percent(arm.share ?? 0),
    count(arm.users),
    count(arm.conversions ?? 0),
    Number.isFinite(arm.rate) ? percent(arm.rate) : "–",
    arm.users ? span(arm.interval) : "–",
    arm.users && Number.isFinite(arm.rate)
      ? interval(arm.rate, arm.interval, { from: 0, to: high, words: `${arm.name}: ${percent(arm.rate)}, ${span(arm.interval)}` })
      : "",
  ]);
  return table(`Arms of ${test.name}`, head, rows, [head.length - 1]);
}

function differences(test) {
  const known = test.differences.filter((one) => one.interval && Number.isFinite(one.difference));
  const edge = Math.max(...known.flatMap((one) => one.interval.map(Math.abs)), 0.01);
  const rows = known.map((one) => [
    `${one.arm} against ${one.against}`,
    points(one.difference),
    span(one.interval, points),
    interval(one.difference, one.interval, {
      from: -edge,
      to: edge,
      zero: 0,
      words: `${points(one.difference)} points, ${span(one.interval, points)}`,
    }),
  ]);
  return [
    ...test.differences.map(verdict),
    rows.length ? table(`Differences of ${test.name}`, ["difference", "percentage points", "interval", heard("drawn")], rows, [3]) : null,
  ];
}

/** Interleaved lists: whose items people took more of. */
function preference(test) {
  const told = test.preference;
  const [first, second] = test.arms.map((arm) => arm.name);
  if (!Number.isFinite(told.share)) return [make("p.verdict.plain", "Nobody has taken anything of these lists yet.")];
  const words = {
    better: [`People prefer ${second}. It is safe to stop here.`, "good"],
    worse: [`People prefer ${first}. It is safe to stop here.`, "bad"],
    open: [`Not decided yet between ${first} and ${second}: one half lies in the interval. Wait for more people.`, "plain"],
  }[told.verdict] ?? ["Not decided yet.", "plain"];
  const line = interval(told.share, told.interval, {
    from: 0,
    to: 1,
    zero: 0.5,
    words: `${percent(told.share)} prefer ${second}, ${span(told.interval)}`,
  });
  return [
    make("p", { class: `verdict ${words[1]}` }, words[0]),
    table(
      `Preference of ${test.name}`,
      [heard("who"), `took more of ${first}`, `took more of ${second}`, `share of ${second}`, "interval", heard("drawn")],
      [["people", count(told.first), count(told.second), percent(told.share), span(told.interval), line]],
      [5],
    ),
  ];
}

function one(test) {
  const interleaved = test.kind === "interleaving";
  const level = test.level ?? 0.95;
  const began = test.started
    ? `since ${new Date(test.started).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" })}`
    : "no list of it has been shown yet: requests name it as “test”";
  const how = interleaved
    ? "Each list holds items of both arms in turn; counted is of whose items people took more."
    : `Counted are people, each once: shown a list, and who ${outcomeOf(test) || "did what is hoped for"} within ${many(test.horizon_days ?? 7, "day")}.`;
  return make(
    "section.panel.wide",
    make("h2", test.name, " ", quiet(began)),
    small(how),
    ...(interleaved ? preference(test) : [...differences(test), arms(test)]),
    small(
      `Intervals hold at all times at once with ${percent(level)}: you may look as often as you like and stop whenever one is decided.`,
    ),
  );
}

export async function show() {
  const told = await maybe(ask("/v1/tests"));
  const tests = told?.tests ?? [];
  return { title: "A/B tests", nodes: [headline("A/B tests"), ...(tests.length ? tests.map(one) : [none()])] };
}
