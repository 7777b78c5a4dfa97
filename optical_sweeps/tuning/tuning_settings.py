"""The settings of a tuning."""

from typing import Literal

from optical_sweeps.checks import Count, Fraction, NonNegativeInt, Strings
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings


@settings("tuning")
class TuningSettings:
    """What is tuned, and with how much effort.

    Args:
        objectives: options of the group `objective`; each gets the same number of trials.
        trials: trials of each objective.
        seed: seed of the search, and of every trial's run.
        ratio: `mixture.ratio` of every trial; None keeps the config's mixture.
        pairs: `mixture.total` of every trial; None keeps the config's budget.
        sampler: `random` draws trials independently, as the expected best score against the number of trials
            assumes; `tpe` learns from earlier trials.
        name: the sweep of the trials; None: `<sweep.name>_tuning`.
    """

    objectives: Strings
    trials: Count = 8
    seed: NonNegativeInt = 1
    ratio: Fraction | None = None
    pairs: Count | None = None
    sampler: Literal["random", "tpe"] = "random"
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.objectives:
            raise UserError("tuning.objectives: empty; name objectives, such as [optical, contrastive]")
        if "none" in self.objectives:
            raise UserError("tuning.objectives: none trains nothing, so it has nothing to tune; remove it")
