// The tuning behind each objective: expected best dev score against the number of trials, as a figure and a table.
function drawTuning() {
  const section = byId("tuning");
  section.hidden = !contents.tuning.length;
  if (section.hidden) return;
  const most = Math.max(...contents.tuning.map((each) => each.best.length));
  const counts = distinct([1, 2, 4, 8, 16, 32, 64].filter((count) => count < most).concat(most));
  const head = ["objective", "chosen", "trials", "failed", "pairs per trial", "time", ...counts.map((count) => `best of ${count}`)];
  const rows = contents.tuning.map((each) => el("tr", null,
    el("td", null, objectiveName(each.objective)), el("td", null, each.chosen),
    ...[each.trials, each.failed, each.pairs.toLocaleString("en"), duration(each.seconds)].map((text) => el("td", { class: "number" }, String(text))),
    ...counts.map((count) => el("td", { class: "number" }, each.best[count - 1] === undefined ? ""
      : `${points(each.best[count - 1])} [${points(each.low[count - 1])}, ${points(each.high[count - 1])}]`))));
  fill("tuning-table", table(head.map((text) => el("th", null, text)), rows));
  fill("tuning-figure", effortFigure(most));
}
function effortFigure(most) {
  const [width, height, margin] = [560, 260, 44];
  const values = contents.tuning.flatMap((each) => [...each.low, ...each.high]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (trial) => margin + (most > 1 ? (trial - 1) / (most - 1) : 0.5) * (width - 2 * margin);
  const y = (value) => height - margin - (high > low ? (value - low) / (high - low) : 0.5) * (height - 2 * margin);
  const line = (each) => each.map((value, place) => `${x(place + 1)},${y(value)}`);
  const label = (text, at, attributes) => svg("text", { ...at, "font-size": 11, fill: "currentColor", ...attributes }, text);
  const parts = contents.tuning.flatMap((each, place) => {
    const colour = `hsl(${(place * 67 + 210) % 360} 60% 50%)`;
    const band = [...line(each.high), ...line(each.low).reverse()].join(" ");
    return [svg("polygon", { points: band, fill: colour, opacity: 0.15 }),
      svg("polyline", { points: line(each.best).join(" "), fill: "none", stroke: colour, "stroke-width": 2 }),
      label(objectiveName(each.objective), { x: margin + 4, y: 14 + 13 * place }, { fill: colour })];
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height + 13 * contents.tuning.length}`, role: "img", width: "100%", style: "max-width: 40rem",
    "aria-label": "Expected best dev score against the number of trials" },
  svg("g", { transform: `translate(0 ${13 * contents.tuning.length})` }, ...parts.filter((part) => part.tagName !== "text"),
    label(points(high), { x: margin - 4, y: y(high) + 4 }, { "text-anchor": "end" }),
    label(points(low), { x: margin - 4, y: y(low) + 4 }, { "text-anchor": "end" }),
    label("1", { x: x(1), y: height - margin + 16 }, { "text-anchor": "middle" }),
    ...(most > 1 ? [label(String(most), { x: x(most), y: height - margin + 16 }, { "text-anchor": "middle" })] : []),
    label("trials", { x: width / 2, y: height - 8 }, { "text-anchor": "middle" })),
  ...parts.filter((part) => part.tagName === "text"));
}
