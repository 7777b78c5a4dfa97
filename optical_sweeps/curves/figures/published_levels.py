"""Published figures of a collection, as levels beside a study's curves.

They are used only where measure, queries and documents are the same. The level of a panel is the mean over the
languages of that panel; a system without a figure for one of them has no level.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from optical_sweeps.curves.figures.curve_figures import Level
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.tables.paper_table import PaperTable
from optical_sweeps.curves.tables.result_tables import LoggedRun

SOURCE = "github.com/castorini/pyserini, pyserini/2cr/miracl.yaml"
SYSTEMS: Mapping[str, str] = {
    "bm25": "BM25",
    "mdpr": "mDPR",
    "hybrid": "BM25 + mDPR",
    "mcontriever": "mContriever",
    "mdpr_ft": "mDPR fine-tuned",
}


@dataclass(frozen=True)
class Published:
    """Published figures of one collection and split.

    Args:
        source: where they were published.
        figures: system -> language -> figure.
        queries: language -> number of queries.
    """

    name: str
    source: str
    measure: str
    figures: Mapping[str, Mapping[str, float]]
    queries: Mapping[str, int]

    def levels(self, languages: Sequence[str]) -> list[Level]:
        """The mean over the languages, for each system that has a figure for all of them."""
        return [
            Level(system, sum(figures[language] for language in languages) / len(languages))
            for system, figures in self.figures.items()
            if languages and all(language in figures for language in languages)
        ]

    def restricted(self, languages: Sequence[str]) -> "Published":
        """The figures of these languages."""
        figures = {
            system: {language: value for language, value in by_language.items() if language in languages}
            for system, by_language in self.figures.items()
        }
        queries = {language: count for language, count in self.queries.items() if language in languages}
        return replace(self, figures=figures, queries=queries)

    def table(self) -> PaperTable:
        """One row for each language, one column for each system."""
        rows = []
        for language, count in self.queries.items():
            values = (figures.get(language) for figures in self.figures.values())
            cells = ("" if value is None else f"{100 * value:.1f}" for value in values)
            rows.append((language, str(count), *cells))
        records = tuple(
            {"language": language, "system": system, self.measure: value, "source": self.source}
            for system, figures in self.figures.items()
            for language, value in figures.items()
        )
        caption = f"{self.name}: {self.measure} x 100, from {self.source}."
        return PaperTable(("language", "queries", *self.figures), tuple(rows), 1, caption, records)


def miracl_dev(measure: str = "nDCG@10") -> Published | None:
    """MIRACL v1.0, dev; None if the measure was not published.

    >>> [(level.label, round(level.value, 3)) for level in miracl_dev().levels(["ar", "sw"])][:2]
    [('BM25', 0.432), ('mDPR', 0.399)]
    """
    text = files("optical_sweeps.curves").joinpath("published/miracl_dev.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    if measure not in list(rows[0])[3:]:
        return None
    figures = {
        name: {row["language"]: float(row[measure]) for row in rows if row["system"] == system}
        for system, name in SYSTEMS.items()
    }
    queries = {row["language"]: int(row["queries"]) for row in rows}
    return Published("MIRACL dev", SOURCE, measure, figures, queries)


def published_for(runs: Sequence[LoggedRun], study: Study) -> Published | None:
    """The published figures of the languages that the study measures in the same way; None without any.

    Every run must search MIRACL's own passages with all of MIRACL's dev queries. A language without training
    queries is left out, because its dev queries are split into our dev and test.
    """
    published = miracl_dev(study.measure)
    if published is None or not runs or not all(_searches_miracl(run.config, study.split) for run in runs):
        return None
    counts = study.rows.groupby("language")["query_id"].nunique()
    same = [one for one in study.languages if published.queries.get(one) == int(counts[one])]
    return published.restricted(same) if same else None


def levels_for(published: Published, study: Study) -> dict[str, list[Level]]:
    """Slice of the study -> its published levels."""
    levels = {slice: published.levels(study.members(slice)) for slice in study.slices}
    return {slice: of_slice for slice, of_slice in levels.items() if of_slice}


def _searches_miracl(config: Mapping[str, object], split: str) -> bool:
    data = config.get("data")
    settings = data.get("collections") if isinstance(data, Mapping) else None
    if not isinstance(settings, Mapping):
        return False
    unchanged = all(settings.get(key) is None for key in ("documents", "queries_file", "query_field"))
    return unchanged and settings.get(split) == "miracl/{language}/dev" and settings.get("complete") is True
