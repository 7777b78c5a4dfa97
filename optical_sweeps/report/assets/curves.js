// Curves: one figure per slice, drawn by Bokeh, and the same values as a table.
// Okabe and Ito's colours, which colour-blind readers can distinguish; objectives also have different markers.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#00795c", "#a3527f", "#8a6d00", "#1f8fc4", "#444444"],
  dark: ["#56b4e9", "#f0893c", "#3fcf9f", "#e79ac6", "#f0e442", "#9fd3ff", "#cccccc"],
};
const MARKERS = ["circle", "square", "triangle", "diamond", "inverted_triangle", "star", "plus"];
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3]];
const MOST_SERIES = 40;
const theme = () => document.documentElement.dataset.theme;
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function styleOf(series, all) {
  const trained = objectives.filter((objective) => contents.runs.some((run) => run.trained && run.objective === objective));
  const place = Math.max(trained.indexOf(series.objective), 0);
  const same = all.filter((other) => other.objective === series.objective);
  return {
    colour: series.trained ? COLOURS[theme()][place % COLOURS.light.length] : token("--dim"),
    marker: MARKERS[place % MARKERS.length],
    dash: series.trained ? DASHES[same.indexOf(series) % DASHES.length] : [3, 4],
  };
}

let drawn = [];
let drawing = 0;
async function drawCurves() {
  const turn = ++drawing;
  const all = seriesList();
  drawLegend(all);
  drawValues(all);
  const slices = contents.slices.filter((slice) => view.slices.has(slice));
  for (const old of drawn) old.remove();
  drawn = [];
  const charts = byId("charts");
  charts.replaceChildren();
  if (!slices.length || !all.length) {
    charts.append(el("p", { class: "empty" }, "Nothing is selected: select a language and an objective."));
    return;
  }
  const range = sharedRange(all, slices);
  for (const slice of slices) {
    const canvas = el("div", { class: "canvas" });
    const members = contents.groups[sliceName(slice)];
    const caption = el("figcaption", null, sliceName(slice), " ");
    if (slice.startsWith("group:") && members) caption.append(el("small", null, members.join(", ")));
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${view.measure} of ${sliceName(slice)}; the table below lists its values`);
    charts.append(el("figure", { class: "chart", "data-slice": slice }, caption, canvas));
    const plot = await Bokeh.Plotting.show(figureOf(all, slice, range), canvas);
    if (turn !== drawing) { plot.remove(); return; }
    drawn.push(plot);
  }
  document.documentElement.dataset.drawn = String(turn);
}

function sharedRange(all, slices) {
  const values = [];
  for (const series of all) for (const point of series.points) for (const slice of slices) {
    const at = valueAt(point, slice);
    if (at) values.push(...at.scores, ...(at.bounds || []));
  }
  const low = 100 * Math.min(...values), high = 100 * Math.max(...values);
  const margin = Math.max((high - low) * 0.06, 0.5);
  return [low - margin, high + margin];
}

function figureOf(all, slice, [low, high]) {
  const key = view.x >= 0 ? contents.keys[view.x] : null;
  const xs = all.flatMap((series) => (series.trained ? series.points.map((point) => Number(point.x)) : []));
  const left = Math.min(...xs, Infinity), right = Math.max(...xs, -Infinity);
  const known = Number.isFinite(left);
  const log = known && left > 0 && right / left >= 30;
  const room = known ? (right - left || 1) * 0.05 : 1;
  const figure = new Bokeh.Plotting.Figure({
    height: byId("charts").clientWidth < 500 ? 260 : 300, sizing_mode: "stretch_width", toolbar_location: null, tools: [],
    x_axis_type: log ? "log" : "linear",
    x_range: known ? (log ? [left / 1.15, right * 1.15] : [left - room, right + room]) : [-1, 1],
    y_range: [low, high], x_axis_label: key ? key.name : "", y_axis_label: `${view.measure} × 100, ${view.split}`,
    background_fill_color: null, border_fill_color: null, outline_line_color: null,
    min_border_left: 4, min_border_right: 6,
  });
  dress(figure, key);
  const targets = [];
  for (const series of all) addSeries(figure, series, slice, styleOf(series, all), targets, [left - room, right + room]);
  const hover = new Bokeh.HoverTool({
    renderers: targets, mode: "mouse", point_policy: "snap_to_data", attachment: "vertical",
    tooltips: [["", "@label"], [key ? key.name : "x", "@shown_x"], [view.measure, "@shown"], ["seeds", "@seeds"]],
  });
  figure.add_tools(hover);
  return figure;
}

function dress(figure, key) {
  const text = token("--dim"), line = token("--line");
  for (const axis of [...figure.xaxes, ...figure.yaxes]) {
    axis.axis_label_text_color = text; axis.major_label_text_color = text; axis.axis_label_text_font_style = "normal";
    axis.axis_label_text_font = axis.major_label_text_font = "system-ui, sans-serif";
    axis.axis_label_text_font_size = axis.major_label_text_font_size = "12px";
    axis.axis_line_color = line; axis.major_tick_line_color = line; axis.minor_tick_line_color = null;
  }
  for (const grid of figure.xgrids) grid.grid_line_color = null;
  for (const grid of figure.ygrids) { grid.grid_line_color = line; grid.grid_line_alpha = 0.8; }
  if (key) {
    const values = distinct(trainedRuns.map((run) => run.values[view.x])).filter((value) => value !== null);
    if (values.length <= 7) for (const axis of figure.xaxes) axis.ticker = new Bokeh.FixedTicker({ ticks: values.map(Number), minor_ticks: [] });
  }
}

function addSeries(figure, series, slice, style, targets, [left, right]) {
  const rows = series.points.map((point) => ({ point, at: valueAt(point, slice) })).filter((row) => row.at);
  if (!rows.length) return;
  const text = ({ at }) => points(at.mean) + (at.bounds ? ` [${points(at.bounds[0])}, ${points(at.bounds[1])}]` : "");
  const line = { line_color: style.colour, line_width: 2, line_dash: style.dash };
  if (!series.trained) {
    const y = 100 * rows[0].at.mean;
    const ends = Number.isFinite(left) ? [left, right] : [-1, 1];
    const xs = Array.from({ length: 41 }, (_, place) => ends[0] + ((ends[1] - ends[0]) * place) / 40);
    const many = (value) => xs.map(() => value);
    const source = new Bokeh.ColumnDataSource({
      data: { x: xs, y: many(y), label: many("zero-shot"), shown_x: many("any"), shown: many(text(rows[0])), seeds: many("") },
    });
    figure.line({ x: { field: "x" }, y: { field: "y" }, source, ...line, line_width: 1.5 });
    targets.push(figure.scatter({ x: { field: "x" }, y: { field: "y" }, source, size: 8, fill_alpha: 0, line_alpha: 0 }));
    return;
  }
  const x = rows.map((row) => Number(row.point.x));
  const banded = rows.filter((row) => row.at.bounds);
  if (banded.length > 1) {
    const source = new Bokeh.ColumnDataSource({ data: {
      x: banded.map((row) => Number(row.point.x)),
      low: banded.map((row) => 100 * row.at.bounds[0]), high: banded.map((row) => 100 * row.at.bounds[1]) } });
    figure.varea({ x: { field: "x" }, y1: { field: "low" }, y2: { field: "high" }, source, fill_color: style.colour, fill_alpha: 0.13 });
  }
  const single = rows.flatMap((row) => row.at.scores.map((score) => [Number(row.point.x), 100 * score]));
  if (single.length > rows.length && single.length <= 2000) {
    const source = new Bokeh.ColumnDataSource({ data: { x: single.map((s) => s[0]), y: single.map((s) => s[1]) } });
    figure.scatter({ x: { field: "x" }, y: { field: "y" }, source, size: 4, marker: "circle", fill_color: style.colour, line_color: null, fill_alpha: 0.45 });
  }
  const source = new Bokeh.ColumnDataSource({ data: {
    x, y: rows.map((row) => 100 * row.at.mean), label: x.map(() => series.label),
    shown_x: rows.map((row) => shown(row.point.x)), shown: rows.map(text),
    seeds: rows.map((row) => row.point.runs.map((run) => shown(run.seed)).join(", ")) } });
  figure.line({ x: { field: "x" }, y: { field: "y" }, source, ...line });
  targets.push(figure.scatter({ x: { field: "x" }, y: { field: "y" }, source, size: 8, marker: style.marker, fill_color: style.colour, line_color: token("--page") }));
}

function drawLegend(all) {
  fill("legend", ...all.slice(0, MOST_SERIES).map((series) => {
    const style = styleOf(series, all);
    const sample = svg("svg", { width: 30, height: 12, "aria-hidden": "true" },
      svg("line", { x1: 1, y1: 6, x2: 29, y2: 6, stroke: style.colour, "stroke-width": 2, "stroke-dasharray": style.dash.join(" ") }));
    if (series.trained) sample.append(mark(style));
    return el("span", null, sample, series.label);
  }), all.length > MOST_SERIES ? el("span", null, `and ${all.length - MOST_SERIES} more`) : null);
  const percent = Math.round(100 * contents.confidence);
  const hidden = view.seeds.size < seeds.length;
  byId("curves-note").textContent = !isMain()
    ? `Means over seeds. Intervals are only available for ${contents.main.measure} on ${contents.main.split}.`
    : hidden ? "Means over the selected seeds; no intervals, because they are computed from all seeds."
    : `Means over seeds; bands and brackets are ${percent}% confidence intervals over seeds and queries; small dots are single runs.`;
}
function mark({ colour, marker }) {
  const shapes = {
    square: "M11 2h8v8h-8z", triangle: "M15 1l5 9h-10z", diamond: "M15 1l5 5l-5 5l-5-5z", inverted_triangle: "M15 11l5-9h-10z",
    star: "M15 0l1.8 4h4l-3.2 2.7l1.2 4.3l-3.8-2.4l-3.8 2.4l1.2-4.3l-3.2-2.7h4z", plus: "M14 1h2v4h4v2h-4v4h-2v-4h-4v-2h4z",
  };
  return marker in shapes ? svg("path", { d: shapes[marker], fill: colour }) : svg("circle", { cx: 15, cy: 6, r: 4, fill: colour });
}

function drawValues(all) {
  if (!byId("values").open) return;
  const slices = contents.slices.filter((slice) => view.slices.has(slice));
  const key = view.x >= 0 ? contents.keys[view.x].name : "";
  const head = [el("th", null, "objective"), el("th", { class: "number" }, key), el("th", { class: "number" }, "seeds"),
    ...slices.map((slice) => el("th", { class: "number" }, sliceName(slice)))];
  const rows = all.flatMap((series) => series.points.map((point) => el("tr", null,
    el("td", null, series.label), el("td", { class: "number" }, series.trained ? shown(point.x) : ""),
    el("td", { class: "number" }, String(point.runs.length)),
    ...slices.map((slice) => {
      const at = valueAt(point, slice);
      const bounds = at && at.bounds ? el("span", { class: "small" }, ` [${points(at.bounds[0])}, ${points(at.bounds[1])}]`) : null;
      return el("td", { class: "number" }, at ? points(at.mean) : "", bounds);
    }))));
  fill("values-table", table(head, rows));
}
