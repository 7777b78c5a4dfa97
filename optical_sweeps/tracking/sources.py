"""Where runs are read back from: W&B's service, its log files, or the run folders' own records.

All three give the same `RunLog`s for the same runs, and so the same tables.
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
"""Names of the sources, and what to call them."""


def disagreements(logs: Iterable[RunLog], records: Iterable[RunLog]) -> list[str]:
    """Lines on where two sources differ: complete runs, configs, every value of test, perturbed or not.

    >>> disagreements([RunLog("a", {}, {"test/nDCG@10/ar": .4}, complete=True)], [])
    ['a: in the first source alone']
    """
    first = {run.id: run for run in logs if run.complete}
    second = {run.id: run for run in records if run.complete}
    lines = [f"{run}: in the first source alone" for run in first.keys() - second.keys()]
    lines += [f"{run}: in the second source alone" for run in second.keys() - first.keys()]
    for run in first.keys() & second.keys():
        lines += [f"{run}: {line}" for line in _differences(first[run], second[run])]
    return sorted(lines)


def _differences(first: RunLog, second: RunLog) -> Iterator[str]:
    if first.config != second.config:
        keys = sorted({**first.config, **second.config})
        differ = [key for key in keys if first.config.get(key) != second.config.get(key)]
        yield f"config differs in {', '.join(differ)}"
    for key in sorted({**first.summary, **second.summary}):
        here, there = first.summary.get(key), second.summary.get(key)
        if key.startswith(("test/", "test+")) and here != there:
            yield f"{key} is {here} and {there}"
