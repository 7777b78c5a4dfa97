// The data of the page, and the current view of it.
const contents = JSON.parse(byId("contents").textContent);
const runById = new Map(contents.runs.map((run) => [run.id, run]));
const sliceName = (slice) => slice.replace(/^group:/, "");
const distinct = (values) => [...new Set(values.map((value) => JSON.stringify(value)))].map((text) => JSON.parse(text));
const trainedRuns = contents.runs.filter((run) => run.trained);
const objectives = distinct(contents.runs.map((run) => run.objective));
const zeroShot = new Set(contents.runs.filter((run) => !run.trained).map((run) => run.objective));
const objectiveName = (objective) => (zeroShot.has(objective) ? "zero-shot" : objective);
const seeds = distinct(trainedRuns.map((run) => run.seed)).sort(compareValues);
const numericKeys = contents.keys.map((key, place) => ({ ...key, place })).filter((key) => key.numeric);
const groupSlices = contents.slices.filter((slice) => slice.startsWith("group:"));

const view = {
  measure: contents.main.measure,
  split: contents.main.split,
  x: numericKeys.length ? numericKeys[0].place : -1,
  slices: new Set(groupSlices.length ? groupSlices : contents.slices.slice(0, 3)),
  objectives: new Set(objectives),
  seeds: new Set(seeds.map((seed) => JSON.stringify(seed))),
};
const isMain = () => view.measure === contents.main.measure && view.split === contents.main.split;
function scoreOf(run, slice, measure = view.measure, split = view.split) {
  if (!run.scores) return null;
  const rows = run.scores[contents.splits.indexOf(split)][contents.measures.indexOf(measure)];
  return rows[contents.slices.indexOf(slice)];
}
const isShown = (run) =>
  view.objectives.has(run.objective) && (!run.trained || view.seeds.has(JSON.stringify(run.seed)));

// A series joins points that only differ in x.
function seriesList() {
  const byLabel = new Map();
  for (const point of contents.points) {
    const all = point.runs.map((number) => contents.runs[number]);
    const first = all[0];
    if (!view.objectives.has(first.objective)) continue;
    const others = contents.keys
      .map((key, place) => ({ key, place }))
      .filter(({ place }) => place !== view.x && first.trained && first.values[place] !== null);
    const label = first.trained
      ? [first.objective, ...others.map(({ key, place }) => `${key.name}=${shown(first.values[place])}`)].join(" ")
      : "zero-shot";
    const runs = all.filter(isShown);
    if (!runs.length) continue;
    if (!byLabel.has(label)) byLabel.set(label, { label, objective: first.objective, trained: first.trained, points: [] });
    const x = first.trained && view.x >= 0 ? first.values[view.x] : 0;
    byLabel.get(label).points.push({ x, runs, intervals: runs.length === all.length ? point.intervals : null });
  }
  for (const series of byLabel.values()) series.points.sort((a, b) => compareValues(a.x, b.x));
  return [...byLabel.values()].sort((a, b) => Number(b.trained) - Number(a.trained));
}
function valueAt(point, slice) {
  const scores = point.runs.map((run) => scoreOf(run, slice)).filter((score) => score !== null);
  if (!scores.length) return null;
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const bounds = isMain() && point.intervals ? point.intervals[contents.slices.indexOf(slice)] : null;
  return { mean, scores, bounds };
}
