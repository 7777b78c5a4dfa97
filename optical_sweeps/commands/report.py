"""`report`: write a sweep as one HTML page."""

from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from optical_sweeps.commands.arguments import add_sweep, add_trust
from optical_sweeps.config_classes import allow_foreign_classes
from optical_sweeps.console import echo, echo_json, progress
from optical_sweeps.terminal_text import count_text


def add_arguments(parser: ArgumentParser) -> None:
    add_sweep(parser)
    add_trust(parser)
    parser.add_argument("--output", metavar="FILE", type=Path, help="the page (default: SWEEP/report.html)")
    parser.add_argument(
        "--no-texts",
        action="store_true",
        help="show ids instead of texts, for collections with restricted access",
    )


def run(sweep: Path, output: Path | None, no_texts: bool, as_json: bool, classes: Sequence[str] = ()) -> None:
    """Gather a sweep's results, write the page, and print its path."""
    with progress("loading"):
        from optical_sweeps.report import gather, render
        from optical_sweeps.report.contents import SPLIT
        from optical_sweeps.report.query_texts import no_query_texts, query_texts
        from optical_sweeps.runs.run_folder import write_text
        from optical_sweeps.sweeps.grid import Grid

    allow_foreign_classes(list(classes))
    grid = Grid.load(sweep)
    path = output or grid.folder / "report.html"
    texts_of = partial(query_texts, split=SPLIT, warn=echo)
    with progress("report") as advance:
        contents = gather(grid, path, texts_of=no_query_texts if no_texts else texts_of, progress=advance)
        page = render(contents)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    size, runs, left_out = len(page.encode()), len(contents["runs"]), contents["left_out"]
    if as_json:
        facts = {"report": str(path), "bytes": size, "runs": runs, "left_out": left_out}
        echo_json(facts)
        return
    echo(f"{path} ({size / 1e6:.1f} MB, {count_text(runs, 'run')}); open it in a browser")
    for line in left_out:
        echo(f"  left out: {line}")
