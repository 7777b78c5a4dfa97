"""The three sources of run logs: W&B's service, its log files, and the run folders' own records.

All three give equal `RunLog`s for the same runs, and therefore equal tables.
"""

from collections.abc import Iterable, Iterator

from optical_sweeps.tracking.offline import read_offline
from optical_sweeps.tracking.records import read_records
from optical_sweeps.tracking.run_log import RunLog
from optical_sweeps.tracking.service import Selection, read_wandb

__all__ = ["SOURCES", "Selection", "disagreements", "read_offline", "read_records", "read_wandb"]

SOURCES = {
    "wandb": "W&B",
    "offline": "W&B's offline logs",
    "records": "the runs' records",
}
"""Names of the sources in settings and in messages."""


def disagreements(logs: Iterable[RunLog], records: Iterable[RunLog]) -> list[str]:
    """Lines that say where two sources differ in complete runs, configs, or test scores (also of perturbed
    queries).

    >>> disagreements([RunLog("a", {}, {"test/nDCG@10/ar": .4}, complete=True)], [])
    ['a: only in the first source']
    """
    first = {run.id: run for run in logs if run.complete}
    second = {run.id: run for run in records if run.complete}
    lines = [f"{run}: only in the first source" for run in first.keys() - second.keys()]
    lines += [f"{run}: only in the second source" for run in second.keys() - first.keys()]
    for run in first.keys() & second.keys():
        lines += [f"{run}: {line}" for line in _differences(first[run], second[run])]
    return sorted(lines)


def _differences(first: RunLog, second: RunLog) -> Iterator[str]:
    if first.config != second.config:
        keys = sorted({**first.config, **second.config})
        differing = [key for key in keys if first.config.get(key) != second.config.get(key)]
        yield f"config differs in {', '.join(differing)}"
    for key in sorted({**first.summary, **second.summary}):
        value, other = first.summary.get(key), second.summary.get(key)
        if key.startswith(("test/", "test+")) and value != other:
            yield f"{key} is {value} and {other}"
