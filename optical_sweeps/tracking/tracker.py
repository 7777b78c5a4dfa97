"""The interface of a tracker: what a run tells about itself while it works."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Metrics = Mapping[str, Any]
"""Metric name -> scalar, for example `dev/nDCG@10/ar` -> 0.41."""


@runtime_checkable
class Tracker(Protocol):
    """Receives one run's config, metrics and files: `start` once, `log` often, `finish` once.

    No method raises for reasons outside this program (network, service, disk): training goes on without it.
    """

    def start(
        self,
        *,
        run_id: str,
        group: str,
        job_type: str,
        name: str,
        config: Mapping[str, Any],
        folder: Path,
        tags: Sequence[str] = (),
        code_version: Mapping[str, Any] | None = None,
    ) -> None:
        """Open the run's log.

        Args:
            run_id: the run's identity; the same id continues the same run.
            group: name of the sweep.
            job_type: kind of work, for example `train`.
            name: for people, for example `optical ratio=0.25 seed=1`.
            config: the full resolved config, plain and nested.
            folder: the run folder; the tracker keeps its own files in it.
            tags: words to filter runs by.
            code_version: for example `{"commit": ..., "dirty": ...}`; computed by the caller, once a process.
        """
        ...

    def log(self, step: int, metrics: Metrics) -> None:
        """Record metrics at an optimiser step; the same step may be logged several times."""
        ...

    def finish(
        self,
        summary: Metrics | None = None,
        files: Sequence[Path] = (),
        exit_code: int = 0,
        artifact: Sequence[Path] = (),
    ) -> None:
        """Record final values, hand over files (known by their names from then on), and close the log.

        Args:
            artifact: files for a versioned artifact of the run, where the settings ask for one; they stay where
                they are and as they are.
        """
        ...


class NullTracker:
    """Tracks nothing."""

    def start(
        self,
        *,
        run_id: str,
        group: str,
        job_type: str,
        name: str,
        config: Mapping[str, Any],
        folder: Path,
        tags: Sequence[str] = (),
        code_version: Mapping[str, Any] | None = None,
    ) -> None: ...

    def log(self, step: int, metrics: Metrics) -> None: ...

    def finish(
        self,
        summary: Metrics | None = None,
        files: Sequence[Path] = (),
        exit_code: int = 0,
        artifact: Sequence[Path] = (),
    ) -> None: ...
