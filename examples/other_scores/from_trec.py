"""Curves and tests from TREC run files; a file's name says system, share, seed and language."""

import argparse
from pathlib import Path

import pandas

from optical_sweeps.curves import Study, claims_of_study, claims_table, markdown_table, save_all_figures
from optical_sweeps.evaluation import Measure, evaluate
from optical_sweeps.retrieval import read_run

HERE = Path(__file__).parent
GROUPS = {"high": ("nl",), "low": ("sw",)}
MEASURE = Measure.parse("nDCG@10")


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Query -> document -> grade."""
    qrels: dict[str, dict[str, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = int(grade)
    return qrels


def scores_of(path: Path) -> pandas.DataFrame:
    """One row per query of a run file such as `ours_0.5_1_sw.trec`."""
    system, share, seed, language = path.stem.split("_")
    scores = evaluate(read_run(path), read_qrels(HERE / "qrels" / f"{language}.txt"), [MEASURE])
    table = pandas.DataFrame({"query_id": scores.query_ids, "value": scores.values[MEASURE]})
    return table.assign(
        run=f"{system} {share} {seed}",
        objective=system,
        ratio=float(share),
        seed=int(seed),
        language=language,
        measure=str(MEASURE),
        split="test",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("figures"))
    output = parser.parse_args().output
    study = Study(pandas.concat(map(scores_of, sorted((HERE / "runs").glob("*.trec")))), GROUPS)
    print(markdown_table(study))
    print(claims_table(claims_of_study(study, [("ours", "theirs")], margin=0.02)).render("markdown"))
    for path in save_all_figures(study, output):
        print(path)


if __name__ == "__main__":
    main()
