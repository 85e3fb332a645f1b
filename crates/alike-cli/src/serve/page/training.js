// How the model learned, for people who do not train models.

import { ask, model } from "./api.js";
import { chart, table } from "./charts.js";
import { count, empty, headline, make, many, percent, quiet, small } from "./dom.js";

const SPLITS = [
  ["test_clean", "test"],
  ["test_public", "test"],
  ["valid", "validation"],
];
const METRICS = [
  ["recall@10", "of what they took next, found among 10"],
  ["recall@20", "of what they took next, found among 20"],
  ["ndcg@10", "the same, counting more what stands higher"],
  ["ndcg@20", "the same among 20"],
  ["hitrate@20", "people with at least one of them among 20"],
  ["mrr@20", "one over the place of the first that is right, on average"],
];

/** The metrics that the sentence goes by: those of the test, where there was one. */
function judged(summary) {
  const found = SPLITS.find(([name]) => Number.isFinite(summary[name]?.["recall@20"]));
  return found ? { ...summary[found[0]], split: found[1] } : null;
}

function sentence(about) {
  const metrics = judged(about.summary ?? {});
  if (!metrics) return make("p.lead.large", "The training has not been judged yet: the numbers stand here when it is finished.");
  const hit = metrics["hitrate@20"];
  const plain = about.summary.popularity?.[metrics.split === "test" ? "test" : "valid"];
  const best = Number.isFinite(plain) ? ` The list of bestsellers gets ${percent(plain)}.` : "";
  const people = Number.isFinite(hit) ? ` ${percent(hit)} of the people found at least one.` : "";
  return make(
    "p.lead.large",
    "Of the things people took next, ",
    make("b", `${percent(metrics["recall@20"])} were among 20 suggestions`),
    `, out of ${many(about.items, "item")}.${best}${people}`,
  );
}

function curves(epochs, best) {
  const line = (name, words, value, format, unit) => {
    const points = epochs.map((epoch) => ({ x: epoch.epoch, y: value(epoch) })).filter((point) => Number.isFinite(point.y));
    if (points.length < 2) return [];
    const say = (point) => `Epoch ${point.x}: ${format(point.y)}${point.x === best ? ", the best one, which is kept" : ""}`;
    return [chart({ name, about: words, points, x: "epoch: once through the data", y: unit, format, say, best })];
  };
  const share = (value) => `${Number((100 * value).toFixed(1))}\u202f%`;
  return [
    ...line(
      "Found among 20",
      "recall@20 on validation; higher is better",
      (epoch) => epoch.valid?.["recall@20"],
      share,
      "% of what people took next",
    ),
    ...line(
      "Found and ranked high",
      "NDCG@20 on validation; higher is better",
      (epoch) => epoch.valid?.["ndcg@20"],
      (value) => Number(value.toPrecision(3)).toString(),
      "0 to 1",
    ),
    ...line(
      "Error on what it learns from",
      "loss; only its shape says something",
      (epoch) => epoch.loss,
      (value) => Number(value.toPrecision(3)).toString(),
      "loss, without a unit",
    ),
  ];
}

export async function show() {
  const [about, epochs] = await Promise.all([model(), ask("/v1/model/log")]);
  const summary = about.summary ?? {};
  const drawn = curves(epochs, summary.best_epoch);
  const there = [
    ["valid", "validation"],
    ["test_public", "test"],
    ["test_clean", "test, validation left out"],
  ].filter(([name]) => Object.keys(summary[name] ?? {}).length);
  const rows = METRICS.filter(([name]) => there.some(([split]) => Number.isFinite(summary[split][name]))).map(([name, words]) => [
    make("span", name, make("span.quiet.block", words)),
    ...there.map(([split]) => (summary[split][name] ?? NaN).toFixed(4)),
  ]);
  const settings = Object.entries(about.settings).map(([name, value]) => [name, String(value)]);
  return {
    title: "Training",
    nodes: [
      headline("Training ", quiet(`${about.name} on ${about.data}`)),
      sentence(about),
      small(
        `It learned from ${count(about.interactions)} things that ${many(about.users, "person", "people")} took. What is asked of it here was hidden from it while it learned.`,
        epochs.length
          ? ` It went through the data ${many(epochs.length, "time")}${summary.best_epoch ? ` and was best after ${count(summary.best_epoch)}` : ""}.`
          : "",
      ),
      drawn.length ? make("div.charts", ...drawn) : empty("This model is solved at once: there is no curve of its learning."),
      make("h2", "How good it is, in numbers"),
      rows.length ? table("Metrics of the best epoch", ["measure", ...there.map(([, words]) => words)], rows) : empty("No numbers yet."),
      make(
        "details.fold",
        make("summary", `Settings it was trained with (${settings.length})`),
        table("Settings", ["setting", "value"], settings),
      ),
    ],
  };
}
