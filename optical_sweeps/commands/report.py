"""`report`: a sweep as one HTML page."""

import json
from collections.abc import Sequence
from pathlib import Path

from optical_sweeps.commands.sweep_arguments import read
from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError
from optical_sweeps.report.query_scores import Texts
from optical_sweeps.report.sweep_runs import SweepRun
from optical_sweeps.runs.run_folder import write_text
from optical_sweeps.sweeps.grid import Grid

HELP = """\
optical-sweeps report SWEEP [--output FILE] [--no-texts] [--json]

One HTML file of a sweep: curves, runs, two runs query by query, settings that differ, provenance.
  --output FILE   where to; default SWEEP/report.html
  --no-texts      ids in place of the queries' texts, for collections that must not be passed on"""


def run(arguments: list[str]) -> None:
    """Gather a sweep's results, write the page, and say where it is."""
    if {"-h", "--help"} & set(arguments):
        echo(HELP)
        return
    from optical_sweeps.report import gather, render
    from optical_sweeps.report.contents import SPLIT

    given = read("report", arguments, flags=("no-texts",), options=("output",))
    grid = Grid.load(given.sweep())
    output = Path(given.one("output") or grid.folder / "report.html")

    def texts_of(run: SweepRun, queries: Sequence[tuple[str, str]]) -> Texts:
        return {} if "no-texts" in given.flags else _texts(run, queries, SPLIT)

    with progress("report") as advance:
        contents = gather(grid, output, texts_of=texts_of, progress=advance)
        page = render(contents)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, page)
    left_out = contents["left_out"]
    if given.json:
        facts = {"report": str(output), "bytes": len(page.encode()), "runs": len(contents["runs"])}
        echo(json.dumps({**facts, "left_out": left_out}, ensure_ascii=False))
        return
    echo(f"{output} ({len(page.encode()) / 1e6:.1f} MB, {len(contents['runs']):,} runs); open it in a browser")
    for line in left_out:
        echo(f"  left out: {line}")


def _texts(run: SweepRun, queries: Sequence[tuple[str, str]], split: str) -> Texts:
    """Texts of queries and of a most relevant document each, from the corpus that the run's config names.

    Empty where the corpus is not at hand, or is another than the run's.
    """
    from optical_sweeps.runs.spec.run_spec import build_part, content

    settings = run.record["config"]["data"]
    try:
        if content("data", json.dumps(settings)) != run.record.get("facts", {}).get("corpus"):
            echo("report: the corpus has changed since these runs; queries are shown by their ids")
            return {}
        corpus = build_part("data", settings)
        texts: dict[tuple[str, str], tuple[str, str]] = {}
        for language in dict.fromkeys(language for language, _ in queries):
            collection = corpus.collection(language, split)
            best = {
                query: max(grades, key=lambda id: (grades[id], id))
                for query, grades in collection.qrels.items()
            }
            places = collection.documents.positions(best.values())
            for query, text in zip(collection.queries.ids, collection.queries.texts, strict=True):
                place = places.get(best.get(query, ""))
                texts[language, query] = (text, "" if place is None else collection.documents.texts[place])
    except (UserError, OSError) as error:
        echo(f"report: no corpus for the queries' texts ({error}); they are shown by their ids")
        return {}
    return texts
