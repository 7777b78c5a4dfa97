"""Settings of `curves`, `claims` and `figures`: which logs they read, and what they compute."""

from dataclasses import field
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from optical_sweeps.checks import (
    Count,
    FilePath,
    NonNegativeInt,
    OpenFraction,
    PositiveFloat,
    Strings,
    number_between,
    positive_number,
)
from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings


def _pairs(value: object) -> object:
    """A list of lists of two objectives, as tuples."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is not a list; write it as [[optical, contrastive]]")
    for pair in value:
        if (
            not isinstance(pair, list | tuple)
            or len(pair) != 2
            or not all(isinstance(name, str) for name in pair)
        ):
            raise ValueError(f"{pair!r} is not two objectives; write [[optical, contrastive]]")
    return tuple((first, second) for first, second in value)


def _numbers(value: object) -> object:
    """A list of numbers of at least 0, as a tuple."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is not a list; write it as [0.5, 1]")
    return tuple(number_between("at", number, 0.0, inf) for number in value)


Pairs = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_numbers)]


@settings("")
class StudySettings:
    """The logs of a study, and the curves that are computed from them; see conf/curves.yaml.

    Args:
        sweep: the sweep's folder; None to read a W&B project, or logs without their sweep. With source=wandb it
            need not exist; its name is then the group.
        dir: folder of the logs; None is the sweep's folder.
        group: W&B group; None is the name of the sweep's folder, or all groups without a folder.
        filters: further conditions on W&B runs, in the API's MongoDB style.
        unfinished: include unfinished runs in the table of results.
        where: values that a run must have, by column.
        confidence, replicates, seed: of the bootstrap intervals.
    """

    sweep: FilePath | None = None
    source: Literal["offline", "records", "wandb"] = "offline"
    dir: FilePath | None = None
    project: str = "optical-sweeps"
    entity: str | None = None
    group: str | None = None
    filters: dict[str, object] | None = None
    unfinished: bool = False
    incremental: bool = True
    cache: FilePath | None = None
    output: FilePath | None = None
    measure: str = "nDCG@10"
    split: Literal["dev", "test"] = "test"
    x: Literal["ratio", "multiple", "total"] = "ratio"
    where: dict[str, object] | None = None
    confidence: OpenFraction = 0.95
    replicates: Count = 2000
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.source != "wandb" and self.log_folder is None:
            raise UserError("no logs to read; name a sweep's folder, such as multirun/demo, or set dir")

    @property
    def sweep_folder(self) -> Path | None:
        """The sweep's folder if it exists; with source=wandb, `sweep` can be the name of a sweep elsewhere."""
        return self.sweep if self.sweep is not None and self.sweep.is_dir() else None

    @property
    def log_folder(self) -> Path | None:
        """The folder of the logs and records."""
        return self.dir or self.sweep

    def output_folder(self, command: str) -> Path:
        """Where a command writes: `output`, or a folder of its name in the sweep's folder or here."""
        return self.output or (self.sweep_folder or Path()) / command

    @property
    def cache_folder(self) -> Path:
        """Where the logs that were read are cached."""
        return self.cache or (self.sweep_folder or self.output or Path("curves")) / ".cache"


@settings("")
class ClaimsSettings(StudySettings):
    """Tests between objectives; see conf/claims.yaml.

    Args:
        pairs: objectives to compare; None compares every two that train.
        slices: groups and languages; None tests all groups, or all languages if there are no groups.
        at: values of x; None tests all.
        margin: differences below it count as equivalent.
        alpha: family-wise error rate of all comparisons (Holm).
        draws: number of permutations of the randomisation test.
    """

    pairs: Pairs | None = None
    slices: Strings | None = None
    at: Numbers | None = None
    test: Literal["randomisation", "t", "crossed"] = "randomisation"
    margin: PositiveFloat = 0.01
    alpha: OpenFraction = 0.05
    draws: Count = 20000


@settings("")
class FiguresSettings(ClaimsSettings):
    """Figures and tables of a study; see conf/figures.yaml.

    Args:
        widths: name -> width in inches; each figure is drawn at each width that is not None.
        budgets: also draw against the budget, if it was swept.
        fits: fit scaling laws.
        baselines: show published scores as reference lines.
        plans: at most this many transport plans of run folders are drawn.
    """

    widths: dict[str, object] = field(default_factory=dict)
    budgets: bool = True
    fits: bool = True
    baselines: bool = True
    plans: NonNegativeInt = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.figure_widths:
            raise UserError(f"widths: {self.widths!r} has no width; set widths.column, in inches")
        for name, width in self.figure_widths.items():
            if not 1.5 <= width <= 20:
                raise UserError(f"widths.{name}: {width:g} inches is not between 1.5 and 20; change it")

    @property
    def figure_widths(self) -> dict[str, float]:
        """The widths that are not None."""
        widths = {name: width for name, width in self.widths.items() if width is not None}
        return {name: positive_number(f"widths.{name}", width) for name, width in widths.items()}
