// The table of runs: search, sorting, links, and selection for the comparison.
const PAGE = 50;
const runView = { sort: "order", down: false, find: "", states: new Set(contents.runs.map((run) => run.state)), count: PAGE };
const order = new Map(contents.runs.map((run, place) => [run.id, place]));

function runColumns() {
  const slices = contents.slices.filter((slice) => view.slices.has(slice));
  const seen = contents.keys.map((key, place) => ({
    id: `key:${key.key}`, name: key.name, number: key.numeric, of: (run) => run.values[place],
  }));
  return [
    { id: "state", name: "state", of: (run) => run.state },
    { id: "objective", name: "objective", of: (run) => objectiveName(run.objective) },
    ...seen,
    ...(seeds.length ? [{ id: "seed", name: "seed", number: true, of: (run) => run.seed }] : []),
    ...slices.map((slice) => ({ id: `slice:${slice}`, name: sliceName(slice), number: true, score: true, of: (run) => scoreOf(run, slice) })),
    ...contents.drift.map((name) => ({ id: `drift:${name}`, name: name.replaceAll("_", " ").replace("english", "English"), number: true,
      of: (run) => run.drift?.[name] ?? null, text: (run) => (run.drift?.[name] ?? null) === null ? "" : run.drift[name].toFixed(3) })),
    { id: "seconds", name: "time", number: true, of: (run) => run.seconds, text: (run) => duration(run.seconds) },
  ];
}
function matchingRuns(columns) {
  const words = runView.find.toLowerCase().split(/\s+/).filter(Boolean);
  const column = columns.find((each) => each.id === runView.sort);
  const matches = contents.runs.filter((run) => isShown(run) && runView.states.has(run.state)
    && words.every((word) => `${run.label} ${run.id} ${run.cause || ""}`.toLowerCase().includes(word)));
  const by = column ? column.of : (run) => order.get(run.id);
  const empty = (value) => value === null || value === undefined;
  return matches.sort((a, b) => {
    const [first, second] = [by(a), by(b)];
    const sign = runView.down && !empty(first) && !empty(second) ? -1 : 1;  // runs without a value stay last
    return sign * compareValues(first, second) || order.get(a.id) - order.get(b.id);
  });
}
function drawRuns() {
  const columns = runColumns();
  const runs = matchingRuns(columns);
  const head = [...columns.map((column) => sortable(column)), el("th", null, "folder"), el("th", null, "compare")];
  const rows = runs.slice(0, runView.count).map((run) => el("tr", { "data-run": run.id },
    ...columns.map((column) => el("td", { class: cellClass(column, run) },
      column.text ? column.text(run) : column.score ? points(column.of(run)) : shown(column.of(run)))),
    el("td", null, el("a", { href: run.href, class: "id" }, run.id)),
    el("td", null, ...(run.scores ? ["a", "b"].map((side) => takeButton(run, side)) : [el("span", { class: "small" }, run.cause || "")]))));
  fill("run-table", runs.length ? table(head, rows) : el("p", { class: "empty" }, "No run matches."));
  byId("run-count").textContent = `${runs.length.toLocaleString("en")} of ${contents.runs.length.toLocaleString("en")} runs`;
  const more = byId("more-runs");
  more.hidden = runs.length <= runView.count;
  more.textContent = `Show all ${runs.length.toLocaleString("en")}`;
}
const cellClass = (column, run) => (column.id === "state" ? `state-${run.state}` : column.number ? "number" : "");
function sortable(column) {
  const active = runView.sort === column.id;
  const button = el("button", { type: "button", "data-sort": column.id, onclick: () => {
    runView.down = active ? !runView.down : Boolean(column.score);
    runView.sort = column.id;
    drawRuns();
    byId("run-table").querySelector(`[data-sort="${CSS.escape(column.id)}"]`).focus();
  } }, column.name);
  return el("th", { class: column.number ? "number" : "", scope: "col", "aria-sort": active ? (runView.down ? "descending" : "ascending") : null }, button);
}
function takeButton(run, side) {
  return el("button", { type: "button", class: "take", "data-side": side, "aria-pressed": String(pair[side] === run.id),
    "aria-label": `${run.label} as ${side.toUpperCase()}`, onclick: () => {
      pair[side] = run.id;
      drawPair();
      for (const button of byId("run-table").querySelectorAll(`[data-side="${side}"]`))
        button.setAttribute("aria-pressed", String(button.closest("tr").dataset.run === run.id));
    } }, side.toUpperCase());
}
function startRuns() {
  const states = distinct(contents.runs.map((run) => run.state));
  if (states.length > 1) fill("states", ...states.map((state) => {
    const count = contents.runs.filter((run) => run.state === state).length;
    return chip(`${state} ${count}`, true, (on) => { runView.states[on ? "add" : "delete"](state); drawRuns(); }, { "data-state": state });
  }));
  byId("find").addEventListener("input", (event) => { runView.find = event.target.value; runView.count = PAGE; drawRuns(); });
  byId("more-runs").addEventListener("click", () => { runView.count = Infinity; drawRuns(); });
}
