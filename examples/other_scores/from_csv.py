"""Curves, tests and figures from a CSV of per-query scores that another program computed."""

import argparse
from pathlib import Path

import pandas

from optical_sweeps.curves import (
    Study,
    claims_of_study,
    claims_table,
    crossings_table,
    find_crossings,
    markdown_table,
    save_all_figures,
)

HERE = Path(__file__).parent
GROUPS = {"high": ("nl",), "low": ("sw",)}
NAMES = {"system": "objective", "low_share": "ratio", "query": "query_id", "ndcg_at_10": "value"}


def read_scores(path: Path) -> pandas.DataFrame:
    """The table that `Study` takes: the columns renamed, and a name for each run."""
    scores = pandas.read_csv(path).rename(columns=NAMES)
    runs = scores["objective"] + " " + scores["ratio"].astype(str) + " " + scores["seed"].astype(str)
    return scores.assign(run=runs, measure="nDCG@10", split="test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("figures"))
    output = parser.parse_args().output
    study = Study(read_scores(HERE / "scores.csv"), GROUPS)
    print(markdown_table(study))
    found = claims_of_study(study, [("ours", "theirs")], margin=0.02)
    print(claims_table(found).render("markdown"))
    crossings = [find_crossings(study, "ours", "theirs", group) for group in ("group:high", "group:low")]
    print(crossings_table(crossings).render("markdown"))
    for path in save_all_figures(study, output):
        print(path)


if __name__ == "__main__":
    main()
