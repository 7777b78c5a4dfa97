"""What the jobs of a sweep request from Slurm: conf/hydra/launcher/slurm_*.yaml."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, field
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from optical_sweeps.checks import Count, NonNegativeInt, PositiveFloat, Strings
from optical_sweeps.errors import UserError
from optical_sweeps.redaction import is_secret_name
from optical_sweeps.settings import at_key, from_mapping, key_of, settings

_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<h1>\d+)(?::(?P<m1>\d+)(?::(?P<s1>\d+))?)?"
    r"|(?:(?P<h2>\d+):)?(?P<m2>\d+):(?P<s2>\d+)|(?P<minutes>\d+))"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = ("account", "partition", "qos", "constraint", "gres")
_FOR_PREPARATION = (*_PLAIN, "gpus", "mem", "cpus", "time", "sbatch")
RUNS_CODE = ("setup", "prefix", "python", "environment", "sbatch")
"""Settings that decide what runs in a job: they come from the user's config, never from a stored submission."""
_SET_BY_SWEEP = {
    "--array", "-a", "--dependency", "-d", "--job-name", "-J", "--output", "-o", "--open-mode", "--signal",
    "--requeue", "--no-requeue", "--chdir", "-D", "--parsable", "--wrap", "--kill-on-invalid-dep", "--wait",
    "-W",
}  # fmt: skip


def _line(value: object) -> object:
    """A line of text; raises ValueError, as pydantic's validators do."""
    if not isinstance(value, str) or "\n" in value or "\0" in value:
        raise ValueError(f"{value!r} is not a line of text; put it in quotes")
    return value


def _words(value: object) -> object:
    if value is None:
        return None
    if value == "":
        raise ValueError("'' is empty; write null to leave the choice to the cluster")
    return _line(value)


def _time_limit(value: object) -> object:
    # YAML reads a bare 24:00:00 as the number 86400, which Slurm would take for minutes
    if value is None:
        return None
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a time limit; write hours in quotes, such as '2:00:00'")
    if seconds_of(value) < 60:
        raise ValueError(f"{value} is less than a minute, the least that Slurm allows; raise it")
    return value


def _memory(value: object) -> object:
    if value == 0 and not isinstance(value, bool):
        return "0"  # to Slurm, all memory of the node; another bare number could mean gigabytes
    if value is not None and (not isinstance(value, str) or re.fullmatch(r"\d+[KMGT]?", value) is None):
        raise ValueError(f"{value!r} is not a size; write it as 16G or 500M, or 0 for the whole node")
    return value


def _shown(value: object) -> str:
    """A value as a config writes it."""
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return "null" if value is None else str(value)


def _sbatch_options(options: tuple[str, ...]) -> tuple[str, ...]:
    for option in options:
        _line(option)
        if not option.startswith("-"):
            raise ValueError(f"{option!r} is not an option; write it as --exclude=node7")
        if option.partition("=")[0] in _SET_BY_SWEEP:
            raise ValueError(f"{option} would override what the sweep sets itself; remove it")
    return options


def _mapping(value: object) -> object:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a mapping; write it as {{name: value}}")
    return dict(value)


Words = Annotated[str | None, BeforeValidator(_words)]
"""One line of text that is not empty, or None."""


@settings("hydra.launcher")
class SlurmSettings:
    """Settings of a submission; None leaves the choice to the cluster.

    Args:
        account, partition, qos, constraint, gres: as sbatch takes them.
        time: the time limit of a task in Slurm's notation: "2:00:00", "1-12:00:00".
        mem: memory of a node, such as 16G; 0 for all of it.
        cpus: CPUs of each process.
        gpus: GPUs of each node (--gpus-per-node; use `gres` if the cluster wants that spelling).
        nodes, tasks_per_node: more than one process per run, for several devices; srun starts them.
        points_per_task: runs that one task performs, one after another.
        parallelism: the largest number of tasks that run at a time.
        max_submit: the largest number of tasks in the queue at a time: the user's limit on this cluster.
        requeues: how often a task is requeued after its time limit; 0: never, nor after preemption.
        warn_seconds: seconds before its time limit at which a task is told to save its state.
        setup: shell lines before the program: modules, conda.
        prefix: put before the program, such as `apptainer exec --nv image.sif`.
        python: the interpreter on the compute nodes; None: this one.
        offline: compute nodes have no network: Hugging Face and W&B stay offline.
        environment: further environment variables.
        sbatch: further options, such as --exclude=node7.
        prepare: settings that differ for the preparation job.
        wait: whether the program waits for the runs and reports them.
        poll_seconds: seconds between two looks at the queue while it waits.

    Raises:
        UserError: a value is out of range or of the wrong type; the key is named.
    """

    account: Words = None
    partition: Words = None
    qos: Words = None
    constraint: Words = None
    gres: Words = None
    time: Annotated[str | None, BeforeValidator(_time_limit)] = None
    mem: Annotated[str | None, BeforeValidator(_memory)] = None
    cpus: Count = 1
    gpus: NonNegativeInt | None = None
    nodes: Count = 1
    tasks_per_node: Count = 1
    points_per_task: Count = 1
    parallelism: Count | None = None
    max_submit: Count | None = None
    requeues: NonNegativeInt = 100
    warn_seconds: NonNegativeInt = 90
    setup: Strings = ()
    prefix: Annotated[str, BeforeValidator(_line)] = ""
    python: Words = None
    offline: bool = True
    environment: Annotated[dict[str, object], BeforeValidator(_mapping)] = field(default_factory=dict)
    sbatch: Annotated[Strings, AfterValidator(_sbatch_options)] = ()
    prepare: Annotated[dict[str, object], BeforeValidator(_mapping)] = field(default_factory=dict)
    wait: bool = True
    poll_seconds: PositiveFloat = 10.0

    def __post_init__(self) -> None:
        for name, value in self.environment.items():
            if not _NAME.fullmatch(name):
                raise UserError(f"{key_of('environment')}: {name!r} is not the name of a variable; rename it")
            with _key(f"{key_of('environment')}.{name}"):
                if not isinstance(value, str):
                    raise ValueError(f"{value!r} is not a string; put it in quotes")
                _line(value)
        for name in self.prepare:
            if name not in _FOR_PREPARATION:
                raise UserError(
                    f"{key_of('prepare')}.{name}: not allowed here; the keys are {', '.join(_FOR_PREPARATION)}"
                )
        with at_key(key_of("prepare")):
            self.for_preparation()

    def resources(self) -> dict[str, object]:
        """What a submission stores as JSON: all settings but those of `RUNS_CODE`."""
        plain = {key: value for key, value in asdict(self).items() if key not in RUNS_CODE}
        return {**plain, "prepare": {key: value for key, value in self.prepare.items() if key != "sbatch"}}

    @property
    def code_settings(self) -> list[str]:
        """The settings of `RUNS_CODE` that differ from their defaults."""
        default = SlurmSettings()
        return [name for name in RUNS_CODE if getattr(self, name) != getattr(default, name)]

    @property
    def placement(self) -> str:
        """The settings that limit where a job can run, as `key=value`; rare ones only if they are set."""
        values = {"partition": self.partition or "default"}
        values |= {key: getattr(self, key) for key in ("time", "mem", "cpus", "gpus")}
        default = SlurmSettings()
        rare = ("gres", "account", "qos", "constraint", "nodes", "tasks_per_node", "sbatch")
        values |= {key: getattr(self, key) for key in rare if getattr(self, key) != getattr(default, key)}
        return " ".join(f"{key}={_shown(value)}" for key, value in values.items())

    @property
    def secrets(self) -> dict[str, str]:
        """The variables of `environment` that hold secrets, by their names; they are written to no file."""
        return {name: str(value) for name, value in self.environment.items() if is_secret_name(name)}

    @property
    def processes(self) -> int:
        """The number of processes of one task."""
        return self.nodes * self.tasks_per_node

    @property
    def warning(self) -> int:
        """Seconds before the time limit at which a task is warned; at most a third of the limit."""
        return self.warn_seconds if self.time is None else min(self.warn_seconds, seconds_of(self.time) // 3)

    def for_preparation(self) -> "SlurmSettings":
        """The settings of the preparation job: one process, changed by `prepare`."""
        if not self.prepare and self.processes == 1:
            return self
        alone = {**vars(self), "nodes": 1, "tasks_per_node": 1, "prepare": {}}
        return from_mapping(SlurmSettings, {**alone, **self.prepare})

    def options(self) -> list[str]:
        """sbatch's options, without those of a single job: name, output, array, dependency."""
        values = {
            **{name: getattr(self, name) for name in _PLAIN},
            "time": self.time,
            "mem": self.mem,
            "gpus-per-node": self.gpus or None,
            "nodes": self.nodes,
            "ntasks-per-node": self.tasks_per_node,
            "cpus-per-task": self.cpus,
            "open-mode": "append",
            "signal": f"B:USR1@{self.warning}" if self.warning else None,
        }
        chosen = [f"--{name}={value}" for name, value in values.items() if value is not None]
        return [*chosen, "--requeue" if self.requeues else "--no-requeue", *self.sbatch]


@contextmanager
def _key(key: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise UserError(f"{key}: {error}") from None


def seconds_of(time: str) -> int:
    """Seconds of a time limit in Slurm's notation.

    >>> seconds_of("90"), seconds_of("2:30"), seconds_of("2:00:00"), seconds_of("1-12"), seconds_of("1-12:30")
    (5400, 150, 7200, 129600, 131400)
    """
    match = _TIME.fullmatch(time)
    assert match
    part = {name: int(value or 0) for name, value in match.groupdict().items()}
    hours = 24 * part["days"] + part["h1"] + part["h2"]
    return 3600 * hours + 60 * (part["m1"] + part["m2"] + part["minutes"]) + part["s1"] + part["s2"]
