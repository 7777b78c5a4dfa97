"""Published figures of a collection, as levels to draw beside a study's curves.

Only where they are of the same thing: the same measure, over the same queries and documents. A panel's level is
the mean over the languages that it shows, and is left out where one of them has no figure.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

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
    """Figures of one collection and split by system and language.

    Args:
        source: where they were published.
        queries: by language.
    """

    name: str
    source: str
    measure: str
    figures: Mapping[str, Mapping[str, float]]
    queries: Mapping[str, int]

    def levels(self, languages: Sequence[str]) -> list[Level]:
        """Of each system that has a figure for all these languages, their mean."""
        return [
            Level(system, sum(by_language[language] for language in languages) / len(languages))
            for system, by_language in self.figures.items()
            if languages and all(language in by_language for language in languages)
        ]

    def of(self, languages: Iterable[str]) -> "Published":
        """The part for these languages."""
        kept = set(languages)
        return Published(
            self.name,
            self.source,
            self.measure,
            {
                system: {language: value for language, value in by_language.items() if language in kept}
                for system, by_language in self.figures.items()
            },
            {language: count for language, count in self.queries.items() if language in kept},
        )

    def table(self) -> PaperTable:
        """Languages by systems."""
        languages = list(self.queries)
        rows = tuple(
            (
                language,
                str(self.queries[language]),
                *(
                    f"{100 * by_language[language]:.1f}" if language in by_language else ""
                    for by_language in self.figures.values()
                ),
            )
            for language in languages
        )
        records = tuple(
            {"language": language, "system": system, self.measure: value, "source": self.source}
            for system, by_language in self.figures.items()
            for language, value in by_language.items()
        )
        caption = f"{self.name}: {self.measure} x 100, from {self.source}."
        return PaperTable(("language", "queries", *self.figures), rows, 1, caption, records)


def miracl_dev(measure: str = "nDCG@10") -> Published | None:
    """MIRACL v1.0, dev; None where the measure is not published.

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
    return Published("MIRACL dev", SOURCE, measure, figures, {r["language"]: int(r["queries"]) for r in rows})


def published_for(runs: Sequence[LoggedRun], study: Study) -> Published | None:
    """The published figures for the languages that the study measures as they were measured; None for none.

    Every run must search MIRACL's own passages with MIRACL's own dev queries, all of them: a language whose
    queries are divided between our dev and test (those without training queries) is left out.
    """
    known = miracl_dev(study.measure)
    if known is None or not runs or not all(_searches_miracl(run.config, study.split) for run in runs):
        return None
    counts = study.rows.groupby("language")["query_id"].nunique()
    same = [
        language
        for language in study.languages
        if language in known.queries and int(counts[language]) == known.queries[language]
    ]
    return known.of(same) if same else None


def levels_for(published: Published, study: Study) -> dict[str, list[Level]]:
    """By slice of the study."""
    members = {f"group:{name}": languages for name, languages in study.groups.items()}
    found = {slice: published.levels(list(members.get(slice, (slice,)))) for slice in study.slices}
    return {slice: levels for slice, levels in found.items() if levels}


def _searches_miracl(config: Mapping[str, Any], split: str) -> bool:
    data = config.get("data")
    settings = data.get("collections") if isinstance(data, Mapping) else None
    if not isinstance(settings, Mapping):
        return False
    own = all(settings.get(key) is None for key in ("documents", "queries_file", "query_field"))
    return own and settings.get(split) == "miracl/{language}/dev" and settings.get("complete") is True
