"""What the runs of a sweep logged, as far as a dashboard needs it: objectives, varied settings, names of
metrics."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from optical_sweeps.errors import UserError
from optical_sweeps.tracking.run_log import RunLog, flattened

OBJECTIVE = "objective._target_"
"""Config key that distinguishes objectives."""

AXES = {
    "ratio": "mixture.ratio",
    "multiple": "mixture.multiple",
    "total": "mixture.total",
    "high total": "mixture.high_total",
}
"""Label -> config key of the x axes of a study."""

NO_SETTINGS = ("paths", "logger", "machine", "sweep", "code_version")
"""Sections of the config that change no number."""

MEASURED = re.compile(r"(dev|test)/(?P<measure>[^/]+)/(?P<slice>[^/]+)")


@dataclass(frozen=True)
class LoggedSweep:
    """What the runs of one sweep, or of a whole project, logged.

    Args:
        project: W&B project.
        entity: user or team; None is the user's default.
        group: the sweep; None is the whole project.
        measure: the measure to show, such as `nDCG@10`.
        objectives: sorted values of `objective._target_` of the runs that trained.
        settings: config keys whose values differ between runs; those of `AXES` come first.
        metrics: names of all metrics that any run logged.
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
        """Groups of languages: `group:all` and those of the study."""
        return tuple(sorted(name for name in self._slices() if name.startswith("group:")))

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted(self._slices() - {*self.groups}))

    @property
    def axes(self) -> dict[str, str]:
        """The x axes that this study varies, as in `AXES`."""
        return {label: key for label, key in AXES.items() if key in self.settings}

    def matching(self, *patterns: str) -> list[str]:
        """Names of logged metrics that match a pattern, in order of the patterns.

        >>> sweep = LoggedSweep("p", None, None, "MAP", (), (), frozenset({"train/loss", "train/plan_cost"}))
        >>> sweep.matching("train/plan_.*", "train/loss")
        ['train/plan_cost', 'train/loss']
        """
        names = sorted(self.metrics)
        return [name for pattern in patterns for name in names if re.fullmatch(pattern, name)]

    def scores(self, split: str, *slices: str) -> list[str]:
        """Names of the measure on a split (a pattern), for each of the slices that was measured.

        >>> sweep = LoggedSweep("p", None, None, "MAP", (), (), frozenset({"test/MAP/ar", "dev/MAP/ar"}))
        >>> sweep.scores("test", "ar", "de")
        ['test/MAP/ar']
        """
        return self.matching(*(f"{split}/{re.escape(self.measure)}/{re.escape(name)}" for name in slices))

    def _slices(self) -> set[str]:
        matches = (MEASURED.fullmatch(name) for name in self.metrics)
        return {match["slice"] for match in matches if match and match["measure"] == self.measure}


def logged_sweep(
    runs: Sequence[RunLog], *, project: str, entity: str | None, group: str | None, measure: str
) -> LoggedSweep:
    """Collect what the runs logged from their configs and final values, which contain every metric's name.

    Raises:
        UserError: there is no run, or no run logged the measure.
    """
    if not runs:
        raise UserError(f"W&B project {project}: no run to show; start the sweep first")
    metrics = frozenset(name for run in runs for name in run.summary)
    measures = sorted({match["measure"] for name in metrics if (match := MEASURED.fullmatch(name))})
    if measure not in measures:
        known = ", ".join(measures) or "none yet"
        raise UserError(f"dashboard: no run logged {measure}; logged measures: {known}")
    objectives = {
        str(value)
        for run in runs
        if any(name.startswith("train/") for name in run.summary)
        for key, value in flattened(run.config, ".")
        if key == OBJECTIVE
    }
    settings = tuple(_varied_settings(runs))
    return LoggedSweep(project, entity, group, measure, tuple(sorted(objectives)), settings, metrics)


def _varied_settings(runs: Sequence[RunLog]) -> list[str]:
    """Keys whose values differ between the runs that have them; always the objective and the seed."""
    values: dict[str, set[str]] = {}
    for run in runs:
        sections = {name: value for name, value in run.config.items() if name not in NO_SETTINGS}
        for key, value in flattened(sections, "."):
            values.setdefault(key, set()).add(repr(value))
    varied = {key for key, seen in values.items() if len(seen) > 1} | {OBJECTIVE, "seed"}
    varied.discard("mixture.seed")  # it follows `seed`
    first = [key for key in (*AXES.values(), OBJECTIVE, "seed") if key in varied]
    return [*first, *sorted(varied - {*first})]
