"""The interface of a tracker, which receives the config, metrics and files of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

Metrics = Mapping[str, object]
"""Metric name -> scalar, for example `dev/nDCG@10/ar` -> 0.41."""


@runtime_checkable
class Tracker(Protocol):
    """Receives the config, metrics and files of one run: `start` once, `log` often, `finish` once.

    No method raises because of the network, the service or the disk: training continues without the tracker.
    """

    def start(
        self,
        *,
        run_id: str,
        group: str,
        job_type: str,
        name: str,
        config: Mapping[str, object],
        folder: Path,
        tags: Sequence[str] = (),
        code_version: Mapping[str, object] | None = None,
    ) -> None:
        """Open the run's log.

        Args:
            run_id: the run's identity; the same id continues the same run.
            group: name of the sweep.
            job_type: kind of work, for example `train`.
            name: display name, for example `optical ratio=0.25 seed=1`.
            config: the resolved, nested config.
            folder: the run folder; the tracker keeps its own files in it.
            tags: words to filter runs by.
            code_version: for example `{"commit": ..., "dirty": ...}`.
        """
        ...

    def log(self, step: int, metrics: Metrics) -> None:
        """Log metrics at an optimiser step; the same step may be logged several times."""
        ...

    def finish(
        self,
        summary: Metrics | None = None,
        files: Sequence[Path] = (),
        exit_code: int = 0,
        artifact: Sequence[Path] = (),
    ) -> None:
        """Log final values, store files under their names, and close the log.

        Args:
            artifact: files for a versioned artifact of the run, if the settings ask for one; they are neither
                moved nor changed.
        """
        ...


class NullTracker:
    """A tracker that ignores everything."""

    def start(self, **facts: object) -> None: ...

    def log(self, step: int, metrics: Metrics) -> None: ...

    def finish(self, *values: object, **named: object) -> None: ...
