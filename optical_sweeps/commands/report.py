"""`report`: write a sweep as one HTML page."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps.commands.arguments import add_json, add_sweep
from optical_sweeps.console import echo, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optical_sweeps.report.query_scores import Texts
    from optical_sweeps.report.sweep_runs import SweepRun


def add_arguments(parser: ArgumentParser) -> None:
    add_sweep(parser)
    parser.add_argument("--output", metavar="FILE", type=Path, help="the page (default: SWEEP/report.html)")
    parser.add_argument(
        "--no-texts",
        action="store_true",
        help="show ids instead of texts, for collections with restricted access",
    )
    add_json(parser)


def run(sweep: Path, output: Path | None, no_texts: bool, as_json: bool) -> None:
    """Gather a sweep's results, write the page, and print its path."""
    from optical_sweeps.report import gather, render
    from optical_sweeps.report.contents import SPLIT
    from optical_sweeps.report.query_texts import query_texts
    from optical_sweeps.runs.run_folder import write_text
    from optical_sweeps.sweeps.grid import Grid

    def texts_of(run: "SweepRun", queries: "Sequence[tuple[str, str]]") -> "Texts":
        return {} if no_texts else query_texts(run, queries, SPLIT, echo)

    grid = Grid.load(sweep)
    path = output or grid.folder / "report.html"
    with progress("report") as advance:
        contents = gather(grid, path, texts_of=texts_of, progress=advance)
        page = render(contents)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    size, runs, left_out = len(page.encode()), len(contents["runs"]), contents["left_out"]
    if as_json:
        facts = {"report": str(path), "bytes": size, "runs": runs, "left_out": left_out}
        echo(json.dumps(facts, ensure_ascii=False))
        return
    echo(f"{path} ({size / 1e6:.1f} MB, {runs:,} runs); open it in a browser")
    for line in left_out:
        echo(f"  left out: {line}")
