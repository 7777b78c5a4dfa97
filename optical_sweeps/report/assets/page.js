// The whole page: theme, summary, filters.
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = name === "dark" ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", `Switch to ${name === "dark" ? "light" : "dark"} colours`);
}
function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = false;
  const follow = () => { if (!chosen) { setTheme(system.matches ? "dark" : "light"); recolour(); } };
  setTheme(system.matches ? "dark" : "light");
  system.addEventListener("change", follow);
  byId("theme").addEventListener("click", () => {
    chosen = true;
    setTheme(theme() === "dark" ? "light" : "dark");
    recolour();
  });
}
function drawSummary() {
  const done = contents.runs.filter((run) => run.state === "done");
  const languages = contents.slices.filter((slice) => !slice.startsWith("group:")).length;
  const last = contents.provenance.finished[1];
  const parts = [`${done.length.toLocaleString("en")} of ${contents.runs.length.toLocaleString("en")} runs done`,
    `${contents.main.measure} on ${contents.main.split}`, `${languages} languages`, last ? `last finished ${last.slice(0, 10)}` : ""];
  byId("summary").textContent = parts.filter(Boolean).join(" · ");
  const open = contents.runs.filter((run) => run.state !== "done");
  if (!open.length) return;
  const counts = distinct(open.map((run) => run.state)).map((state) => `${open.filter((run) => run.state === state).length} ${state}`);
  const line = (run) => el("li", null, `${run.state}: ${run.label}${run.message ? ` (${run.cause || "error"}: ${run.message})` : ""}`);
  const rest = open.length > 10 ? el("li", null, `and ${open.length - 10} more: see the table of runs`) : null;
  fill("notices", el("div", { class: "notice" }, el("p", null, `Not in the curves: ${counts.join(", ")}`), el("ul", null, ...open.slice(0, 10).map(line), rest)));
}
function recolour() { drawCurves(); drawTuning(); }
function redraw() { drawCurves(); drawRuns(); }
function drawFilters() {
  const toggle = (set, value) => (on) => { set[on ? "add" : "delete"](value); redraw(); };
  const group = (name, chips) => el("fieldset", null, el("legend", null, name), ...chips);
  const parts = [
    group("Languages", contents.slices.map((slice) => chip(sliceName(slice), view.slices.has(slice), toggle(view.slices, slice), { "data-slice": slice }))),
    group("Objectives", objectives.map((objective) => chip(objectiveName(objective), true, toggle(view.objectives, objective), { "data-objective": objective }))),
  ];
  if (seeds.length > 1) parts.push(group("Seeds", seeds.map((seed) => chip(shown(seed), true, toggle(view.seeds, JSON.stringify(seed)), { "data-seed": JSON.stringify(seed) }))));
  if (contents.measures.length > 1) parts.push(choice("Measure", contents.measures.map((name) => [name, name]), view.measure, (value) => { view.measure = value; redraw(); }, { id: "measure" }));
  if (contents.splits.length > 1) parts.push(choice("Split", contents.splits.map((name) => [name, name]), view.split, (value) => { view.split = value; redraw(); }, { id: "split" }));
  if (numericKeys.length > 1) parts.push(choice("Against", numericKeys.map((key) => [String(key.place), key.name]), String(view.x), (value) => { view.x = Number(value); drawCurves(); }, { id: "against" }));
  fill("choices", ...parts);
}
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("values").addEventListener("toggle", () => drawValues(seriesList()));
startTheme();
drawSummary();
drawFilters();
startRuns();
startPair();
drawRuns();
drawTuning();
drawProvenance();
drawCurves().then(drawPair);
