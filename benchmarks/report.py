"""Time and size of the HTML page of many runs, and the time until a browser has drawn it.

    python benchmarks/report.py SWEEP [--runs 1000]

SWEEP is a finished sweep, such as multirun/demo. Its runs are copied with new ratios and seeds, and the
per-query scores of one query in ten are changed. The browser is the system's Chromium, driven by
playwright; without them only the writing is measured.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas

from optical_sweeps.report import gather, render
from optical_sweeps.report.query_texts import query_texts
from optical_sweeps.sweeps.grid import Grid


def multiply(source: Path, folder: Path, count: int) -> None:
    """Create a sweep of `count` runs from the trained runs of `source`."""
    generator = np.random.default_rng(0)
    trained = [path for path in sorted(source.glob("*/record.json")) if "zero-shot" not in path.read_text()]
    tables = {path: pandas.read_parquet(path.with_name("per_query.parquet")) for path in trained}
    ratios = np.round(np.linspace(0, 1, max(count // 20, 2)), 4)
    points = []
    for number in range(count):
        path = trained[number % len(trained)]
        record = json.loads(path.read_text())
        objective, run = record["label"].split()[0], f"{number:012x}"
        ratio, seed = float(ratios[number // 20 % len(ratios)]), 1 + number % 20 // 2
        record["id"], record["label"] = run, f"{objective} ratio={ratio:g} total=2560 seed={seed}"
        record["config"]["mixture"] |= {"ratio": ratio, "seed": seed}
        record["config"]["seed"] = seed
        table = tables[path].copy()
        changed = generator.random(len(table)) < 0.1
        table.loc[changed, "value"] = generator.permutation(table.loc[changed, "value"].to_numpy())
        (folder / run).mkdir(parents=True)
        (folder / run / "record.json").write_text(json.dumps(record))
        table.to_parquet(folder / run / "per_query.parquet", index=False)
        overrides = [f"objective={objective}", f"mixture.ratio={ratio}", f"seed={seed}"]
        points.append({"overrides": overrides, "run": run, "label": record["label"]})
    (folder / "grid.json").write_text(json.dumps({"schema": 2, "points": points}))


def seconds_in_browser(page: Path) -> float | None:
    """Seconds from the start of loading until curves, tables and comparison are drawn; median of 5."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    taken = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for _ in range(5):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri(), wait_until="commit")
            tab.wait_for_selector("html[data-drawn] #query-table tbody tr", timeout=60_000)
            taken.append(tab.evaluate("performance.now()") / 1000)
            tab.close()
        browser.close()
    return float(np.median(taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "many")
        multiply(given.sweep, folder, given.runs)
        start = time.perf_counter()
        page = folder / "report.html"
        contents = gather(
            Grid.load(folder), page, texts_of=lambda run, queries: query_texts(run, queries, "test", print)
        )
        page.write_text(render(contents), encoding="utf-8")
        print(f"written in       {time.perf_counter() - start:.1f} s")
        print(f"size             {page.stat().st_size / 1e6:.2f} MB, {given.runs} runs")
        for line in contents["left_out"]:
            print(f"left out         {line}")
        shown = seconds_in_browser(page.resolve())
        print("opens in         " + (f"{shown:.2f} s" if shown is not None else "no browser here"))


if __name__ == "__main__":
    main()
