"""Published figures are compared only with the same measure on the same queries and documents."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import pytest

from optical_sweeps.curves.figures.curve_figures import group_figure, language_figure
from optical_sweeps.curves.figures.published_levels import SYSTEMS, levels_for, miracl_dev, published_for
from optical_sweeps.curves.statistics.study import Study

COLLECTIONS = {
    "test": "miracl/{language}/dev", "dev": "miracl/{language}/train", "documents": None,
    "queries_file": None, "query_field": None, "complete": True,
}  # fmt: skip


@dataclass
class Run:
    collections: dict[str, Any] = field(default_factory=lambda: dict(COLLECTIONS))
    id: str = "r"
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    group: str = ""
    complete: bool = True

    @property
    def config(self) -> dict[str, Any]:
        return {"data": {"collections": self.collections}}


def study_of(queries: dict[str, int], split: str = "test", measure: str = "nDCG@10") -> Study:
    rows = [
        (
            f"r{ratio}",
            "optical",
            ratio,
            1,
            language,
            f"{language}{number}",
            0.3 + 0.001 * (number % 7) + ratio / 10,
        )
        for ratio in (0.0, 1.0)
        for language, count in queries.items()
        for number in range(count)
    ]
    names = ["run", "objective", "ratio", "seed", "language", "query_id", "value"]
    table = pandas.DataFrame(rows, columns=names).assign(split=split, measure=measure)
    groups = {"high": ("es", "de"), "low": ("ko", "sw"), "all": ("es", "de", "ko", "sw")}
    return Study(table, groups, split=split, measure=measure, replicates=10)


QUERIES = {"es": 648, "de": 240, "ko": 213, "sw": 482}
"""The German queries are split into dev and test; 305 are published."""


def test_figures_are_as_published() -> None:
    known = miracl_dev()
    assert known is not None
    assert list(known.figures) == list(SYSTEMS.values())
    assert known.figures["mContriever"]["sw"] == 0.560
    assert known.figures["BM25"]["yo"] == 0.406
    assert len(known.queries) == 18
    assert {"de", "yo"} & set(known.figures["mDPR fine-tuned"]) == set()
    recall = miracl_dev("Recall@100")
    assert recall is not None
    assert recall.figures["BM25 + mDPR"]["zh"] == 0.959
    assert miracl_dev("MRR@10") is None


def test_the_file_is_complete() -> None:
    known = miracl_dev()
    assert known is not None
    text = Path(__file__).parents[3].joinpath("optical_sweeps/curves/published/miracl_dev.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 18 * 5 - 2
    assert all(0 < float(row["nDCG@10"]) < 1 and 0 < float(row["Recall@100"]) < 1 for row in rows)


def test_the_level_of_a_panel_is_the_mean_over_its_languages() -> None:
    study = study_of(QUERIES)
    published = published_for([Run()], study)
    assert published is not None
    levels = levels_for(published, study)
    assert set(levels) == {"group:low", "es", "ko", "sw"}  # high and all include German
    low = {level.label: level.value for level in levels["group:low"]}
    assert low["mDPR"] == pytest.approx((0.419 + 0.299) / 2)
    assert low["mDPR fine-tuned"] == pytest.approx((0.590 + 0.685) / 2)
    assert {record["source"] for record in published.table().records} == {published.source}


@pytest.mark.parametrize(
    "change",
    [
        {"test": "mr-tydi/{language}/test"},
        {"documents": "miracl/en"},
        {"queries_file": "topics/{language}.tsv"},
        {"complete": False},
    ],
)
def test_other_collections_have_no_published_figures(change: dict[str, Any]) -> None:
    study = study_of(QUERIES)
    assert published_for([Run({**COLLECTIONS, **change})], study) is None
    assert published_for([Run(), Run({**COLLECTIONS, **change})], study) is None


def test_other_splits_and_measures_have_no_published_figures() -> None:
    assert published_for([Run()], study_of(QUERIES, split="dev")) is None
    assert published_for([Run()], study_of(QUERIES, measure="MAP@100")) is None
    assert published_for([], study_of(QUERIES)) is None
    assert published_for([Run()], study_of({"es": 100, "de": 100, "ko": 100, "sw": 100})) is None


def test_levels_are_labelled_lines() -> None:
    study = study_of(QUERIES)
    published = published_for([Run()], study)
    assert published is not None
    levels = levels_for(published, study)
    figure = group_figure(study, groups=("low",), width=3.03, levels=levels)
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    for level in levels["group:low"]:
        assert set(lines[level.label].get_ydata()) == {level.value}
    assert len({(lines[name].get_color(), str(lines[name].get_linestyle())) for name in SYSTEMS.values()}) >= 4
    drawn = language_figure(study, width=6.3, levels=levels)
    german = next(panel for panel in drawn.axes if panel.get_title().startswith("de"))
    assert "BM25" not in {str(line.get_label()) for line in german.get_lines()}
