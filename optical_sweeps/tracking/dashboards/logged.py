"""What the runs of a sweep logged, as far as a dashboard asks: objectives, swept keys, names of metrics."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import RunLog

OBJECTIVE = "objective._target_"
"""Config key that tells objectives apart."""

AXES = {
    "ratio": "mixture.ratio",
    "multiple": "mixture.multiple",
    "total": "mixture.total",
    "high total": "mixture.high_total",
}
"""Label -> config key of the abscissas of a study."""

NO_SETTINGS = ("paths", "logger", "machine", "sweep", "code_version")
"""Sections of the config that change no number."""

MEASURED = re.compile(r"(dev|test)/(?P<measure>[^/]+)/(?P<slice>[^/]+)")


@dataclass(frozen=True)
class Logged:
    """What the runs of one sweep, or of a whole project, have in common.

    Args:
        project: W&B project.
        entity: user or team; none is the user's default.
        group: the sweep; none is all of the project.
        measure: the one that is shown, such as `nDCG@10`.
        objectives: the values of `objective._target_` of runs that trained, in order.
        settings: config keys whose values differ from run to run, in order; those of `AXES` first.
        metrics: names of all metrics that a run logged.
    """

    project: str
    entity: str | None
    group: str | None
    measure: str
    objectives: tuple[str, ...]
    settings: tuple[str, ...]
    metrics: frozenset[str]

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of languages: `group:all`, and those of the study."""
        return tuple(sorted(where for where in self._slices() if where.startswith("group:")))

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted(self._slices() - {*self.groups}))

    @property
    def axes(self) -> dict[str, str]:
        """Abscissas that this study varies."""
        return {label: key for label, key in AXES.items() if key in self.settings}

    def found(self, *patterns: str) -> list[str]:
        """Logged metrics that match, those of the first pattern first.

        >>> logged = Logged("p", None, None, "nDCG@10", (), (), frozenset({"train/loss", "train/plan_cost"}))
        >>> logged.found("train/plan_.*", "train/loss")
        ['train/plan_cost', 'train/loss']
        """
        names = sorted(self.metrics)
        return [name for pattern in patterns for name in names if re.fullmatch(pattern, name)]

    def scores(self, split: str, *slices: str) -> list[str]:
        """The measure on a split (a pattern) for each of the slices that has it.

        >>> logged = Logged("p", None, None, "MAP", (), (), frozenset({"test/MAP/ar", "dev/MAP/ar"}))
        >>> logged.scores("test", "ar", "de")
        ['test/MAP/ar']
        """
        return self.found(*(f"{split}/{re.escape(self.measure)}/{re.escape(where)}" for where in slices))

    def _slices(self) -> set[str]:
        return {
            match["slice"]
            for name in self.metrics
            if (match := MEASURED.fullmatch(name)) and match["measure"] == self.measure
        }


def what_was_logged(
    runs: Sequence[RunLog], *, project: str, entity: str | None, group: str | None, measure: str
) -> Logged:
    """Read it off the runs' configs and final values, which hold the last value of every metric.

    Raises:
        UserError: no run, or none that logged the measure.
    """
    if not runs:
        raise UserError(f"W&B project {project}: no run to show; start the sweep first")
    metrics = frozenset(name for run in runs for name in run.summary)
    measures = sorted({match["measure"] for name in metrics if (match := MEASURED.fullmatch(name))})
    if measure not in measures:
        known = ", ".join(measures) or "none yet"
        raise UserError(f"dashboard: no run logged {measure}; logged are: {known}")
    trained = [run for run in runs if any(name.startswith("train/") for name in run.summary)]
    objectives = {run.config.get("objective", {}).get("_target_") for run in trained} - {None}
    return Logged(project, entity, group, measure, tuple(sorted(objectives)), tuple(_settings(runs)), metrics)


def _settings(runs: Sequence[RunLog]) -> list[str]:
    """Keys in which runs that have them differ; the objective, and the seed, in any case."""
    values: dict[str, set[str]] = {OBJECTIVE: {"", "shown always"}, "seed": {"", "shown always"}}
    for run in runs:
        for key, value in _leaves(run.config):
            values.setdefault(key, set()).add(repr(value))
    differ = {key for key, seen in values.items() if len(seen) > 1} - {"mixture.seed"}  # follows seed
    first = [key for key in (*AXES.values(), OBJECTIVE, "seed") if key in differ]
    return [*first, *sorted(differ - {*first})]


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    return _walk({key: value for key, value in config.items() if key not in NO_SETTINGS}, prefix)


def _walk(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
