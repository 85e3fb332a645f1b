// Charts that can be read: axes with numbers, lines across, and the value under the pointer or at the arrow keys.

import { draw, fading, make, quiet } from "./dom.js";

const [W, H, LEFT, RIGHT, TOP, BOTTOM] = [420, 220, 54, 14, 14, 40];

/** About `most` round numbers, from one that is not above `low` to one that is not below `high`. */
function ticks(low, high, most = 5) {
  const raw = (high - low) / most || Math.abs(high) || 1;
  const ten = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * ten).find((n) => n >= raw * 0.999);
  const marks = [];
  for (let n = Math.floor(low / step + 1e-9); n * step < high + step * (1 - 1e-9); n += 1) marks.push(Number((n * step).toPrecision(12)));
  return marks;
}

/**
 * A chart of `points` ({ x, y, label }): a line, or bars. `say` makes the words of a point, `y` and `x` name the
 * axes, `format` writes numbers of the y axis, `best` marks one x.
 */
export function chart({ name, points, x, y, format, say, best = null, bars = false, about = null }) {
  const ys = points.map((point) => point.y);
  // Axes begin at 0: one that is cut makes noise look like a trend.
  const marks = ticks(Math.min(0, ...ys), Math.max(...ys, bars ? 1 : 0));
  const [low, high] = [marks[0], marks[marks.length - 1]];
  const [first, last] = [points[0].x, points[points.length - 1].x];
  const wide = (W - LEFT - RIGHT) / (points.length || 1);
  const px = (value) =>
    bars ? LEFT + wide * (value - first + 0.5) : LEFT + ((W - LEFT - RIGHT) * (value - first)) / Math.max(last - first, 1);
  const py = (value) => TOP + (H - TOP - BOTTOM) * (1 - (value - low) / (high - low || 1));
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${name}. ${say(points[points.length - 1])}` });
  for (const mark of marks) {
    svg.append(draw("line.gridline", { x1: LEFT, x2: W - RIGHT, y1: py(mark), y2: py(mark) }));
    svg.append(draw("text", { x: LEFT - 6, y: py(mark) + 4, "text-anchor": "end" }, format(mark)));
  }
  svg.append(draw("line.axis", { x1: LEFT, x2: W - RIGHT, y1: H - BOTTOM, y2: H - BOTTOM }));
  const below = bars
    ? [points[0], points[Math.floor(points.length / 2)], points[points.length - 1]]
    : [first, ...ticks(first, last).filter((at) => Number.isInteger(at) && at > first + (last - first) / 12 && at <= last)].map((at) => ({
        x: at,
        label: String(at),
      }));
  below.forEach((point, n) => {
    const anchor = bars && n === 0 ? "start" : bars && n === below.length - 1 ? "end" : "middle";
    const shift = bars ? { start: -wide / 2, end: wide / 2, middle: 0 }[anchor] : 0;
    svg.append(draw("text", { x: px(point.x) + shift, y: H - BOTTOM + 15, "text-anchor": anchor }, point.label));
  });
  svg.append(draw("text.unit", { x: (LEFT + W - RIGHT) / 2, y: H - 6, "text-anchor": "middle" }, x));
  if (bars) {
    for (const point of points)
      svg.append(draw("rect.bar", { x: px(point.x) - wide * 0.38, width: wide * 0.76, y: py(point.y), height: H - BOTTOM - py(point.y) }));
  } else {
    svg.append(draw("polyline.curve", { points: points.map((point) => `${px(point.x).toFixed(1)},${py(point.y).toFixed(1)}`).join(" ") }));
  }
  const kept = points.find((point) => point.x === best);
  if (kept) svg.append(draw("circle.best", { cx: px(kept.x), cy: py(kept.y), r: 5 }));
  const rule = draw("line.rule", { y1: TOP, y2: H - BOTTOM });
  const dot = draw("circle.dot", { r: 4 });
  svg.append(rule, dot);
  return probed({ name, points, y, about, svg, rule, dot, px, py, say, best, bars });
}

/** The chart with a slider over it: the pointer and the arrow keys move it from point to point. */
function probed({ name, points, y, about, svg, rule, dot, px, py, say, best, bars }) {
  const start = Math.max(
    points.findIndex((point) => point.x === best),
    best === null ? points.length - 1 : 0,
  );
  const told = make("p.told", { "aria-hidden": "true" });
  const probe = make("input", {
    type: "range",
    class: "probe",
    min: 0,
    max: points.length - 1,
    value: start,
    "aria-label": `${name}: value at`,
  });
  const set = (at) => {
    const point = points[at];
    probe.value = at;
    probe.setAttribute("aria-valuetext", say(point));
    told.textContent = say(point);
    rule.setAttribute("x1", px(point.x));
    rule.setAttribute("x2", px(point.x));
    dot.setAttribute("cx", px(point.x));
    dot.setAttribute("cy", py(point.y));
  };
  probe.addEventListener("input", () => set(Number(probe.value)));
  const under = (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * W;
    let near = 0;
    points.forEach((point, n) => {
      if (Math.abs(px(point.x) - at) < Math.abs(px(points[near].x) - at)) near = n;
    });
    set(near);
  };
  probe.addEventListener("pointermove", under);
  probe.addEventListener("pointerdown", under);
  probe.addEventListener("pointerleave", () => set(start));
  set(start);
  return make(
    "figure",
    { class: bars ? "chart bars" : "chart" },
    make("figcaption", make("b", name), about ? quiet(about) : null),
    make("p.unit.quiet", y),
    make("div.plot", svg, probe),
    told,
  );
}

/** An interval on a scale that all rows of a table share: a line from low to high with a dot at the value. */
export function interval(value, [low, high], { from, to, zero = null, words }) {
  const [w, h] = [220, 26];
  const px = (at) => 8 + ((w - 16) * (Math.min(Math.max(at, from), to) - from)) / (to - from || 1);
  const svg = draw("svg.interval", { viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": words });
  svg.append(draw("line.gridline", { x1: 4, x2: w - 4, y1: h / 2, y2: h / 2 }));
  if (zero !== null) svg.append(draw("line.zero", { x1: px(zero), x2: px(zero), y1: 2, y2: h - 2 }));
  svg.append(
    draw("line.span", { x1: px(low), x2: px(high), y1: h / 2, y2: h / 2 }),
    draw("circle.best", { cx: px(value), cy: h / 2, r: 5 }),
  );
  return svg;
}

/** A table; all columns but the first hold numbers where `words` does not say otherwise. */
export function table(caption, head, rows, words = []) {
  const kind = (n) => (n > 0 && !words.includes(n) ? { class: "number" } : {});
  const line = (cells) => make("tr", ...cells.map((value, n) => (n ? make("td", kind(n), value) : make("th", { scope: "row" }, value))));
  const top = make("tr", ...head.map((value, n) => make("th", { scope: "col", ...kind(n) }, value)));
  const inner = make("table", make("caption.heard", caption), make("thead", top), make("tbody", ...rows.map(line)));
  return fading(make("div.scroll", { tabindex: 0, role: "region", "aria-label": caption }, inner));
}
