// The tuning behind each objective: expected best dev score against the number of trials, as a figure and a table.
function drawTuning() {
  const section = byId("tuning");
  section.hidden = !contents.tuning.length;
  if (section.hidden) return;
  const most = Math.max(...contents.tuning.map((each) => each.best.length));
  const counts = doublings(most);
  const numbers = ["trials", "failed", "pairs per trial", "time", ...counts.map((count) => `best of ${count}`)];
  const head = [...["objective", "chosen"].map((text) => el("th", null, text)), ...numbers.map((text) => el("th", { class: "number" }, text))];
  const rows = contents.tuning.map((each) => el("tr", null,
    el("td", null, objectiveName(each.objective)), el("td", null, each.chosen),
    ...[each.trials, each.failed, each.pairs.toLocaleString("en"), duration(each.seconds)].map((text) => el("td", { class: "number" }, String(text))),
    ...counts.map((count) => el("td", { class: "number" }, each.best[count - 1] === undefined ? ""
      : `${points(each.best[count - 1])} [${points(each.low[count - 1])}, ${points(each.high[count - 1])}]`))));
  fill("tuning-table", table(head, rows));
  fill("tuning-figure", effortLegend(), effortFigure(most));
}
const doublings = (most) => distinct([1, 2, 4, 8, 16, 32, 64].filter((count) => count < most).concat(most));
const effortStyle = (each) => styleOf({ objective: each.objective, trained: true }, []);
function effortLegend() {
  return el("p", { class: "legend" }, ...contents.tuning.map((each) => {
    const style = effortStyle(each);
    return el("span", null, svg("svg", { width: 30, height: 12, "aria-hidden": "true" },
      svg("line", { x1: 1, y1: 6, x2: 29, y2: 6, stroke: style.colour, "stroke-width": 2 })), objectiveName(each.objective));
  }));
}
// About five round values between two scores.
function roundTicks(low, high) {
  const size = 10 ** Math.floor(Math.log10((high - low) / 5 || 0.01));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((each) => (high - low) / each <= 6);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, place) => (first + place) * step);
}
function effortFigure(most) {
  const [width, height, left, right, top, foot] = [560, 280, 52, 16, 10, 42];
  const values = contents.tuning.flatMap((each) => [...each.low, ...each.high]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (trial) => left + (most > 1 ? (trial - 1) / (most - 1) : 0.5) * (width - left - right);
  const y = (value) => height - foot - (high > low ? (value - low) / (high - low) : 0.5) * (height - top - foot);
  const at = (scores) => scores.map((value, place) => `${x(place + 1)},${y(value)}`);
  const label = (text, attributes) => svg("text", { "font-size": 12, fill: token("--dim"), "text-anchor": "middle", ...attributes }, text);
  const grid = roundTicks(low, high).flatMap((value) => [
    svg("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), stroke: token("--line") }),
    label(points(value), { x: left - 6, y: y(value) + 4, "text-anchor": "end" })]);
  const lines = contents.tuning.flatMap((each) => {
    const { colour } = effortStyle(each);
    return [svg("polygon", { points: [...at(each.high), ...at(each.low).reverse()].join(" "), fill: colour, opacity: 0.15 }),
      svg("polyline", { points: at(each.best).join(" "), fill: "none", stroke: colour, "stroke-width": 2 })];
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", width: "100%", style: "max-width: 40rem",
    "aria-label": "Expected best dev score against the number of trials; the table below lists its values" },
  ...grid, ...lines, ...doublings(most).map((count) => label(String(count), { x: x(count), y: height - foot + 16 })),
  label("trials", { x: (left + width - right) / 2, y: height - 6 }),
  label("dev score × 100", { transform: `translate(13 ${(top + height - foot) / 2}) rotate(-90)` }));
}
