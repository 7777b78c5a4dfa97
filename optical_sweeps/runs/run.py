"""What a sweep needs to know of a run: the interface that the sweep engine is written against.

A sweep knows its runs by this class alone. The key `run_type` of a config names the subclass, such as
`my_package.training.MyRun`; the engine builds it from the resolved config. `docs/howto/sweeps.md` shows an
example.
"""

import hashlib
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import DictConfig

from optical_sweeps.config_classes import (
    ALLOW_KEY,
    PACKAGE,
    allow_foreign_classes,
    foreign_class,
    is_allowed,
    package_class,
    refusal,
)
from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interruption, interruptible
from optical_sweeps.runs.machine_faults import machine_faults_in_words
from optical_sweeps.runs.provenance import code_version
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run_folder import RunFolder

LONGEST_NAME = 255
"""Bytes of a file's name that Linux and macOS accept."""
Config = dict[str, Any]
"""A resolved config: plain containers, without Hydra's own section."""


@dataclass(frozen=True)
class Workload:
    """What the cost of a run depends on, to estimate it from the records of similar runs.

    Args:
        kind: only runs of equal kind are compared.
        features: of the runs of this kind, those with the most equal features are used.
        amount: training time grows with it; None if unknown, 0 for a run that trains nothing.
        devices: the number of GPUs the run asks for, if it runs on GPUs.
    """

    kind: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    amount: float | None = None
    devices: int = 1


LABEL_COLUMNS = 12
"""Columns of the label of a `PlanNotes` row on the screen, with the blanks around it."""


@dataclass(frozen=True)
class PlanNotes:
    """What `sweep plan` shows of the data that some runs need.

    Args:
        rows: (label, line) of the screen.
        facts: the same for programs, as JSON.
    """

    rows: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


class Run(ABC):
    """One run of a sweep, built from its resolved config. Building it must be cheap: a grid builds thousands.

    A subclass overrides `facts` and either `work` or, to manage the folder itself, `perform`.

    Raises:
        UserError: on construction, for a value that the config must not have; the key is named.
    """

    label_keys: ClassVar[Collection[str]] = ()
    """Config keys that `label` shows already; the engine adds the values of the other swept keys."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @abstractmethod
    def facts(self) -> Mapping[str, object]:
        """Everything that can change this run's numbers, as JSON; the run's id is a hash of it."""

    def work(self, folder: RunFolder, interruption: Interruption) -> Mapping[str, object]:
        """Do the run's work and return its record, at least `{"measures": {split: {measure: {slice: x}}}}`.

        The first measure is the main one, and its slice `group:all` the score that a sweep shows. Files go into
        `folder.path`; the folder keeps them when the run is interrupted, so that the next call can resume.

        Raises:
            Interrupted: by `interruption.check()`, called where stopping loses no work.
        """
        raise NotImplementedError

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits; the name of the run's folder."""
        return run_id(self.facts())

    @property
    def label(self) -> str:
        """A short name for people."""
        return self.id

    @property
    def sweep(self) -> Path:
        """The folder of the sweep that the run is part of: `<paths.sweeps>/<sweep.name>`."""
        return sweep_folder(self.config)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.sweep / self.id

    @property
    def is_first_process(self) -> bool:
        """Whether this process reports the run: the first of the processes that train together."""
        return True

    def check(self, *, devices: bool = True) -> None:  # noqa: B027
        """Refuse now what would fail later.

        Args:
            devices: check this machine's devices too; false if the run is for another machine.

        Raises:
            UserError: the run would fail; the config key is named.
        """

    def shared_note(self) -> Path | None:
        """The note that says that everything this run shares with others is built; None if it shares nothing.

        Runs with the same note share all of it. `prepare` writes it with `prepared_note.write_note`.
        """
        return None

    def prepare(self, interruption: Interruption) -> None:  # noqa: B027
        """Build what this run shares with others, unless it is built."""

    @classmethod
    def workload(cls, config: Config) -> Workload:
        """What the cost of a run with this config depends on; the default never finds a similar run."""
        return Workload(kind=(json.dumps(config, sort_keys=True, default=str),))

    def demand(self) -> Hashable | None:
        """What the run needs of data that it shares with others, for `plan_notes`; equal for equal needs."""
        return None

    @classmethod
    def plan_notes(cls, demands: Collection[Hashable]) -> PlanNotes:
        """What `sweep plan` shows of the distinct demands of the runs that are not done."""
        return PlanNotes()

    def perform(self, folder: RunFolder) -> bool:
        """Claim the folder, work, and write the record last; False if the record exists already.

        Raises:
            RunIsTaken: another process works on the run.
            Interrupted: this process received a signal; the next call continues.
        """
        start = time.perf_counter()
        if folder.record_path.exists():
            return False
        with folder.claim(), machine_faults_in_words(folder.path), interruptible() as interruption:
            if folder.record_path.exists():  # another process finished it in the meantime
                return False
            self.check()
            content = self.work(folder, interruption)
            folder.write_record(
                {
                    "id": self.id,
                    "label": self.label,
                    "config": self.config,
                    "facts": self.facts(),
                    "code": code_version(),
                    "timings": {"total": round(time.perf_counter() - start, 3)},
                    **content,
                }
            )
        return True


def sweep_folder(config: Config) -> Path:
    """`<paths.sweeps>/<sweep.name>` of a resolved config.

    Raises:
        UserError: one of them has no value, a file system accepts no folder of that name, or the name leaves
            `paths.sweeps`.
    """
    for section, key in (("paths", "sweeps"), ("sweep", "name")):
        longest = max(text_at(config, section, key).split("/"), key=lambda part: len(part.encode()))
        if (size := len(longest.encode())) > LONGEST_NAME:
            raise UserError(
                f"{section}.{key}: {longest[:20]}... has {size} bytes, and file systems accept {LONGEST_NAME} "
                "in a folder's name; shorten it"
            )
    name = Path(text_at(config, "sweep", "name"))
    if name.is_absolute() or ".." in name.parts or not name.parts:
        raise UserError(f"sweep.name: {name} is no folder below paths.sweeps; choose another name")
    return Path(text_at(config, "paths", "sweeps"), name)


def run_id(facts: Mapping[str, object]) -> str:
    """Twelve hexadecimal digits of the hash of the facts; key order and 1 or 1.0 make no difference.

    >>> run_id({"seed": 1, "ratio": 1}) == run_id({"ratio": 1.0, "seed": 1})
    True
    """
    text = json.dumps(_canonical(facts), sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def main_score(record: Mapping[str, object], split: str) -> float:
    """The main measure over all slices of a split, from a run's record; NaN if the record has none."""
    try:
        measures = record["measures"][split]  # type: ignore[index]
        return float(next(iter(measures.values()))["group:all"])
    except (KeyError, TypeError, ValueError, StopIteration):
        return math.nan


def describe_run(config: DictConfig) -> Run:
    """The run of a composed config, for its name and its checks; equal configs share one object.

    Raises:
        UserError: the config has a bad value; its key is named.
    """
    return _described(Path.cwd(), json.dumps(resolved(config)))


def take_run(config: DictConfig) -> Run:
    """Like `describe_run`, for the caller that performs the run: nobody else gets the object."""
    run = describe_run(config)
    _described.cache_clear()
    return run


# Hydra resolves ${run_id:} several times for one run.
@lru_cache(maxsize=4)
def _described(folder: Path, text: str) -> Run:
    return build_run(json.loads(text))


def build_run(config: Config) -> Run:
    """Build the run of a resolved config, which names its class under `run_type`.

    Raises:
        UserError: the config names no class, or has a bad value.
    """
    return run_class(config)(config)


def run_class(config: Config) -> type[Run]:
    """The class that a config names under `run_type`, for example `my_package.training.MyRun`.

    Raises:
        UserError: there is no such class.
    """
    name = config.get("run_type")
    if not isinstance(name, str):
        raise UserError("run_type: no value; name a subclass of optical_sweeps.runs.run.Run, with its module")
    allow_foreign_classes(config.get(ALLOW_KEY, []))
    return _class(name)


@lru_cache(maxsize=8)
def _class(name: str) -> type[Run]:
    value: type | None
    if is_allowed(name):
        value = foreign_class("run_type", name)
    elif name.startswith(PACKAGE):
        value = package_class(name)
    else:
        raise refusal("run_type", name)
    if value is None or not issubclass(value, Run):
        raise UserError(f"run_type: {name} is not a subclass of optical_sweeps.runs.run.Run")
    return value


def text_at(config: Config, section: str, key: str) -> str:
    """The text under `section.key`; raises UserError if there is none."""
    values = config.get(section)
    value = values.get(key) if isinstance(values, Mapping) else None
    if not isinstance(value, str) or not value:
        raise UserError(
            f"{section}.{key}: no value; every run needs one (its folder: <paths.sweeps>/<sweep.name>/<id>)"
        )
    return value


def _canonical(value: object) -> object:
    """1.0 is 1, as a person means it; true is not."""
    if isinstance(value, Mapping):
        return {key: _canonical(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
