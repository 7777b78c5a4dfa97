"""Expected best dev score of a random search against its number of trials.

Dodge, Gururangan, Card, Schwartz and Smith 2019, "Show Your Work", arXiv 1909.03004, section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from optical_sweeps.curves.tables.result_tables import LoggedRun

REPLICATES = 1000


@dataclass(frozen=True)
class Effort:
    """The effort that an objective's tuning took.

    Args:
        scores: dev scores of the trials that ended, in order.
        failed: trials without a score.
        pairs: pairs that each trial was trained on.
        seconds: of all trials together.
        sampler: `random` if the trials are independent draws, as the expected best assumes.
        chosen: the best trial's settings.
    """

    scores: tuple[float, ...]
    failed: int
    pairs: int
    seconds: float
    sampler: str
    chosen: str

    def as_dict(self) -> dict[str, object]:
        """Plain values, which the config of a tuned run carries."""
        return {
            "scores": [round(score, 6) for score in self.scores], "failed": self.failed, "pairs": self.pairs,
            "seconds": round(self.seconds, 1), "sampler": self.sampler, "chosen": self.chosen,
        }  # fmt: skip


def expected_best(scores: Sequence[float] | Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """E max of k scores drawn from the empirical distribution of N scores, for k = 1, ..., N.

    E max = sum over i of v_(i) ((i / N)^k - ((i - 1) / N)^k), with v_(i) the i-th smallest score.

    >>> expected_best([0.0, 1.0]).tolist()
    [0.5, 0.75]
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    size = len(ordered)
    shares = (np.arange(size + 1) / size)[None, :] ** np.arange(1, size + 1)[:, None]
    best: np.ndarray = np.diff(shares, axis=1) @ ordered
    return best


def expected_best_interval(
    scores: Sequence[float], *, confidence: float = 0.95, seed: int = 0
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Percentile bootstrap interval of `expected_best` over the trials."""
    rng, values = np.random.default_rng(seed), np.asarray(scores, np.float64)
    replicates = [expected_best(rng.choice(values, len(values))) for _ in range(REPLICATES)]
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def efforts_of(runs: Sequence[LoggedRun], names: Mapping[str, str]) -> dict[str, Effort]:
    """The tuning behind each objective, from the configs of its runs; objectives without one are left out.

    Args:
        names: run id -> name of its objective.
    """
    efforts: dict[str, Effort] = {}
    for run in runs:
        tuned = run.config.get("tuned")
        if run.id in names and isinstance(tuned, Mapping) and tuned.get("scores"):
            efforts[names[run.id]] = effort_from(tuned)
    return dict(sorted(efforts.items()))


def effort_from(tuned: Mapping[str, object]) -> Effort:
    """The effort that the section `tuned` of a run's config states."""
    scores = tuned["scores"]
    assert isinstance(scores, Sequence)
    return Effort(
        tuple(map(float, scores)), int(str(tuned["failed"])), int(str(tuned["pairs"])),
        float(str(tuned["seconds"])), str(tuned["sampler"]), str(tuned["chosen"]),
    )  # fmt: skip
