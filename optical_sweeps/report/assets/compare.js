// Compares two runs by language, setting and query.
const pair = { a: null, b: null };
const queryView = { language: "", order: "apart", find: "", count: 25 };
let packed = null;

async function inflated(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
async function unpacked() {
  if (packed || !contents.queries) return packed;
  const [scores, texts] = await Promise.all([inflated(contents.queries.rows), inflated(contents.queries.texts)]);
  const queries = [];
  for (const [language, rows] of Object.entries(JSON.parse(new TextDecoder().decode(texts))))
    for (const [id, text, relevant] of rows) queries.push({ language, id, text: text || "", relevant: relevant || "" });
  packed = { scores, queries };
  return packed;
}
function scoresOf(run) {
  const { runs, count, steps, absent } = contents.queries;
  if (!(run in runs)) return null;
  return packed.queries.map((_, place) => {
    const step = packed.scores[place * count + runs[run]];
    return step === absent ? null : step / steps;
  });
}

function startPair() {
  const main = groupSlices.includes("group:all") ? "group:all" : contents.slices[0];
  const done = contents.runs.filter((run) => run.scores);
  const best = [...done].sort((a, b) => (scoreOf(b, main) ?? -1) - (scoreOf(a, main) ?? -1));
  pair.a = best[0].id;
  const other = best.find((run) => run.trained && run.objective !== best[0].objective) || best[1] || best[0];
  pair.b = other.id;
  for (const side of ["a", "b"]) {
    const select = byId(`run-${side}`);
    for (const run of done) select.append(el("option", { value: run.id }, `${run.label}  ·  ${points(scoreOf(run, main))}`));
    select.addEventListener("change", () => { pair[side] = select.value; drawPair(); drawRuns(); });
  }
  byId("swap").addEventListener("click", () => { [pair.a, pair.b] = [pair.b, pair.a]; drawPair(); drawRuns(); });
  byId("query-order").addEventListener("change", (event) => { queryView.order = event.target.value; drawQueries(); });
  byId("query-language").addEventListener("change", (event) => { queryView.language = event.target.value; drawQueries(); });
  byId("find-query").addEventListener("input", (event) => { queryView.find = event.target.value; queryView.count = 25; drawQueries(); });
  byId("more-queries").addEventListener("click", () => { queryView.count += 100; drawQueries(); });
  const languages = contents.slices.filter((slice) => !slice.startsWith("group:"));
  byId("query-language").append(el("option", { value: "" }, "all"), ...languages.map((code) => el("option", { value: code }, code)));
}
async function drawPair() {
  byId("run-a").value = pair.a;
  byId("run-b").value = pair.b;
  drawDifferences();
  try {
    await unpacked();
    drawPairSummary();
    drawQueries();
  } catch (error) {
    fill("query-table", el("p", { class: "empty" }, `This browser cannot unpack the per-query scores (${error.message}).`));
  }
}

function drawDifferences() {
  const { keys, base, differ } = contents.configs;
  const [first, second] = [pair.a, pair.b].map((run) => new Map(differ[run]));
  const absent = (value) => value !== null && typeof value === "object" && value.absent === true;
  const text = (value) => (absent(value) ? el("span", { class: "small" }, "not set") : el("code", null, value === null ? "null" : shown(value)));
  const rows = keys.flatMap((key, number) => {
    const [a, b] = [first, second].map((changes) => (changes.has(number) ? changes.get(number) : base[number]));
    if (JSON.stringify(a) === JSON.stringify(b)) return [];
    return [el("tr", null, el("td", null, el("code", null, key)), el("td", { class: "text" }, text(a)), el("td", { class: "text" }, text(b)))];
  });
  const head = [el("th", null, "setting"), el("th", { class: "in-a" }, "A"), el("th", { class: "in-b" }, "B")];
  fill("config-diff", rows.length ? table(head, rows) : el("p", { class: "note" }, "None: both runs have the same settings."));
}

function drawPairSummary() {
  const known = contents.queries && [pair.a, pair.b].every((run) => run in contents.queries.runs);
  if (!known) { fill("pair-summary", el("p", { class: "note" }, "The page has no per-query scores for these runs.")); return; }
  const [a, b] = [scoresOf(pair.a), scoresOf(pair.b)];
  const { measure, split } = contents.main;
  const rows = contents.slices.map((slice) => {
    const languages = slice.startsWith("group:") ? contents.groups[sliceName(slice)] : [slice];
    const places = packed.queries.flatMap(({ language }, place) =>
      languages.includes(language) && a[place] !== null && b[place] !== null ? [place] : []);
    const differences = places.map((place) => a[place] - b[place]);
    const wins = differences.filter((d) => d > 0).length, losses = differences.filter((d) => d < 0).length;
    const [one, two] = [pair.a, pair.b].map((run) => scoreOf(runById.get(run), slice, measure, split));
    const gap = one === null || two === null ? null : one - two;
    return el("tr", null, el("td", null, sliceName(slice)), el("td", { class: "number" }, points(one)), el("td", { class: "number" }, points(two)),
      el("td", { class: `number ${gap > 0 ? "better" : gap < 0 ? "worse" : ""}` }, gap === null ? "" : signed(gap)),
      el("td", { class: "number" }, String(wins)), el("td", { class: "number" }, String(differences.length - wins - losses)),
      el("td", { class: "number" }, String(losses)), el("td", null, bars(wins, differences.length - wins - losses, losses)));
  });
  const number = (text, side) => el("th", { class: `number ${side || ""}` }, text);
  fill("pair-summary", table([el("th", null, `${measure}, ${split}`), number("A", "in-a"), number("B", "in-b"), number("A − B"),
    number("A better"), number("same"), number("B better"), el("th", null, "queries")], rows));
}
function bars(wins, ties, losses) {
  const total = wins + ties + losses || 1;
  const width = (count) => (100 * count) / total;
  return svg("svg", { class: "bars", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${wins} to ${losses}` },
    svg("rect", { class: "a", x: 0, y: 2, width: width(wins), height: 6 }),
    svg("rect", { class: "middle", x: width(wins), y: 2, width: width(ties), height: 6 }),
    svg("rect", { class: "b", x: width(wins + ties), y: 2, width: width(losses), height: 6 }));
}

const ORDERS = {
  apart: (x, y) => Math.abs(y.a - y.b) - Math.abs(x.a - x.b),
  a: (x, y) => y.a - y.b - (x.a - x.b),
  b: (x, y) => x.a - x.b - (y.a - y.b),
  worst: (x, y) => x.a + x.b - (y.a + y.b),
};
function drawQueries() {
  const known = contents.queries && packed && [pair.a, pair.b].every((run) => run in contents.queries.runs);
  if (!known) { fill("query-table", el("p", { class: "note" }, "No per-query scores.")); byId("query-count").textContent = ""; return; }
  const [a, b] = [scoresOf(pair.a), scoresOf(pair.b)];
  const words = queryView.find.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = packed.queries.map((query, place) => ({ ...query, a: a[place], b: b[place] })).filter((query) =>
    query.a !== null && query.b !== null && (!queryView.language || query.language === queryView.language)
    && words.every((word) => `${query.text} ${query.relevant} ${query.id}`.toLowerCase().includes(word)));
  const ids = (x, y) => (x.id < y.id ? -1 : x.id > y.id ? 1 : 0);  // ties: keep the languages of one query together
  matches.sort((x, y) => ORDERS[queryView.order](x, y) || ids(x, y));
  const withText = matches.some((query) => query.text);
  const head = [el("th", null, "language"), el("th", null, "query"), withText ? el("th", null, "a relevant document") : null,
    el("th", { class: "number in-a" }, "A"), el("th", { class: "number in-b" }, "B"), el("th", { class: "number" }, "A − B")].filter(Boolean);
  const rows = matches.slice(0, queryView.count).map((query) => {
    const gap = query.a - query.b;
    return el("tr", null, el("td", null, query.language),
      el("td", { class: "text" }, query.text ? el("span", { dir: "auto", lang: query.language }, query.text) : null, " ", el("span", { class: "small id" }, query.id)),
      withText ? el("td", { class: "text small", dir: "auto" }, query.relevant) : null,
      el("td", { class: "number" }, points(query.a)), el("td", { class: "number" }, points(query.b)),
      el("td", { class: `number ${gap > 0 ? "better" : gap < 0 ? "worse" : ""}` }, signed(gap)));
  });
  fill("query-table", matches.length ? table(head, rows) : el("p", { class: "empty" }, "No query matches."));
  byId("query-count").textContent = `${matches.length.toLocaleString("en")} queries`;
  const more = byId("more-queries");
  more.hidden = matches.length <= queryView.count;
  more.textContent = "Show 100 more";
}
