"""How the rankings behind a table or figure were searched, for its caption."""

from collections.abc import Iterable, Mapping

from optical_sweeps.retrieval.search_settings import ExactSearch, label_of


def search_note(configs: Iterable[Mapping[str, object]], split: str) -> str:
    """A sentence about the searches of a split that were not exact; empty if all were exact.

    >>> pruned = {"_target_": "a.PrunedSearch", "probes": 4, "candidates": 512}
    >>> search_note([{"evaluation": {"search": pruned}}, {"evaluation": {}}], "test")
    ' Search of test: exact; pruned (4 probes, 512 candidates).'
    """
    labels = set()
    for config in configs:
        evaluation = config.get("evaluation")
        sections = evaluation if isinstance(evaluation, Mapping) else {}
        differs = sections.get("dev_search") if split.partition("+")[0] == "dev" else None
        section = differs or sections.get("search")
        labels.add(label_of(section) if isinstance(section, Mapping) else ExactSearch.name)
    return f" Search of {split}: {'; '.join(sorted(labels))}." if labels - {ExactSearch.name} else ""
