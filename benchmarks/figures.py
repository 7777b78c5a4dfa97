"""Time of `optical-sweeps figures` and of its parts, for many runs.

    python benchmarks/figures.py SWEEP [--runs 1000]

SWEEP is a finished sweep, such as multirun/demo. Its trained runs are copied with new ratios and seeds, and
the per-query scores of one query in ten are changed. The command is timed as a whole, imports included; its
parts are timed in this process.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas

from optical_sweeps.curves.claims.stratified_claims import claims_of_strata, crossings_of_strata
from optical_sweeps.curves.figures.curve_figures import slices_of
from optical_sweeps.curves.figures.figure_style import save_figure
from optical_sweeps.curves.figures.study_drawings import curve_drawings
from optical_sweeps.curves.laws.study_laws import laws_of
from optical_sweeps.curves.statistics.strata import strata
from optical_sweeps.curves.tables.result_tables import language_groups, per_query_table, result_table
from optical_sweeps.tracking.records import read_records

SEEDS = 10


def multiply(source: Path, folder: Path, count: int) -> None:
    """Copy runs of two objectives to ten seeds and as many ratios as `count` needs, plus the zero-shot run."""
    generator = np.random.default_rng(0)
    sources: dict[str, list[tuple[dict, pandas.DataFrame, str]]] = {}
    for path in sorted(source.glob("*/record.json")):
        text = path.read_text()
        table = pandas.read_parquet(path.with_name("per_query.parquet"))
        sources.setdefault(json.loads(text)["label"].split()[0], []).append((json.loads(text), table, text))
    trained = [name for name in sources if name != "none"]
    ratios = np.round(np.linspace(0, 1, count // (SEEDS * len(trained))), 4).tolist()
    points = [(name, ratio, seed) for name in trained for ratio in ratios for seed in range(1, SEEDS + 1)]
    for number, (name, ratio, seed) in enumerate([*points, *[("none", 0.0, 1)] * ("none" in sources)]):
        _, table, text = sources[name][number % len(sources[name])]
        record, table = json.loads(text), table.copy()
        record["id"] = f"{number:012x}"
        record["config"]["mixture"] |= {"ratio": ratio, "seed": seed}
        record["config"]["seed"] = seed
        record["usage"] = {"hours": float(generator.uniform(0.1, 4)), "gpu_hours": 0.0}
        changed = generator.random(len(table)) < 0.1
        table.loc[changed, "value"] = generator.permutation(table.loc[changed, "value"].to_numpy())
        (folder / record["id"]).mkdir(parents=True)
        (folder / record["id"] / "record.json").write_text(json.dumps(record))
        table.to_parquet(folder / record["id"] / "per_query.parquet", index=False)


@contextmanager
def timed(what: str) -> Iterator[None]:
    start, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{what:36} {time.perf_counter() - start:6.2f} s, CPU {time.process_time() - cpu:6.2f} s", flush=True)


def parts(folder: Path, output: Path) -> None:
    """Time the parts of the command."""
    with timed("reading records"):
        runs = read_records(folder, history=False)
    with timed("table of final measures"):
        result_table(runs)
    with timed("per-query tables"):
        per_query = per_query_table(runs)
    with timed("bootstrap (Study)"):
        (part,) = strata(per_query, language_groups(runs))
    with timed("tests (20,000 draws)"):
        found = claims_of_strata([part])
    with timed("crossings"):
        crossings_of_strata([part], found)
    with timed("laws"):
        laws = laws_of(part.study, slices_of(part.study))
    for drawing in curve_drawings(part.study, laws, None, [("contrastive", "optical")]):
        with timed(f"{drawing.name}, drawn once"):
            figure = drawing.draw(6.30)
        with timed(f"{drawing.name}, PDF and PNG"):
            save_figure(figure, output / drawing.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--parts", action="store_true", help="the parts alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "many")
        multiply(given.sweep, folder, given.runs)
        if not given.parts:
            program = Path(sys.executable).with_name("optical-sweeps")
            with timed(f"the command, {given.runs} runs"):
                subprocess.run(
                    [program, "figures", str(folder), "source=records"],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
        parts(folder, Path(name, "drawn"))


if __name__ == "__main__":
    main()
