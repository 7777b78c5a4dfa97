// Code, versions, hardware, data, and what the page leaves out.
function drawProvenance() {
  const { code, versions, hardware, memory_mb, seconds, data, finished } = contents.provenance;
  const several = (counted) => counted.map(([value, count]) => (counted.length > 1 ? `${value} (${count} runs)` : value)).join("; ");
  const facts = [
    ["Code", several(code)],
    ["Data", several(data)],
    ["Hardware", several(hardware) + (memory_mb ? `; peak memory ${(memory_mb / 1024).toFixed(1)} GiB` : "")],
    ["Compute", `${duration(seconds)} in total`],
    ["Finished", finished[0] === finished[1] ? finished[0] : `${finished[0]} to ${finished[1]}`],
    ["Versions", Object.entries(versions).map(([name, counted]) => `${name} ${several(counted)}`).join(", ")],
    ["Per query", contents.queries ? `scores are rounded to steps of ${(100 / contents.queries.steps).toFixed(1)} points; averages are exact` : ""],
    ["Left out", contents.left_out.join("; ")],
  ];
  fill("facts", ...facts.filter(([, text]) => text).flatMap(([name, text]) => [el("dt", null, name), el("dd", null, text)]));
}
