"""What is asked of Slurm for the jobs of a sweep: filled in once, in conf/hydra/launcher/slurm_*.yaml."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from optical_sweeps.checks import positive_number, strings, true_or_false, whole_number
from optical_sweeps.errors import UserError

KEY = "hydra.launcher"
_TIME = re.compile(
    r"(?:(?P<days>\d+)-(?P<h1>\d+)(?::(?P<m1>\d+)(?::(?P<s1>\d+))?)?"
    r"|(?:(?P<h2>\d+):)?(?P<m2>\d+):(?P<s2>\d+)|(?P<minutes>\d+))"
)
_MEMORY = re.compile(r"\d+[KMGT]?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = ("account", "partition", "qos", "constraint", "gres")
_PREPARES = ("account", "partition", "qos", "constraint", "gres", "gpus", "mem", "cpus", "time", "sbatch")


@dataclass(frozen=True)
class SlurmSettings:
    """Settings of a submission; None leaves the choice to the cluster.

    Args:
        account, partition, qos, constraint, gres: as sbatch takes them.
        time: limit of a task, as Slurm writes it: "2:00:00", "1-12:00:00".
        mem: memory of a node, such as 16G.
        cpus: of each process.
        gpus: of each node (--gpus-per-node; `gres` where the cluster wants that spelling).
        nodes, tasks_per_node: more than one process a run, for several devices; started by srun.
        points_per_task: runs that one task does, one after the other.
        parallelism: tasks at work at a time, at most.
        max_submit: tasks in the queue at a time, at most: the user's limit on this cluster.
        requeues: times a task goes on by itself after its time limit; 0: never, nor after preemption.
        warn_seconds: how long before its time limit a task is told to save its state.
        setup: shell lines before the program: modules, conda.
        prefix: put before the program, such as `apptainer exec --nv image.sif`.
        python: the interpreter on the compute nodes; None: this one.
        offline: compute nodes have no network: Hugging Face and W&B stay offline.
        environment: further variables.
        sbatch: further options, such as --exclude=node7.
        prepare: what the preparation job asks for instead.
        wait: whether the program waits for the runs and tells of them.
        poll_seconds: between two looks at the queue while it waits.

    Raises:
        UserError: a value is out of range or of the wrong type; the key is named.
    """

    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    time: str | None = None
    mem: str | None = None
    cpus: int = 1
    gpus: int | None = None
    nodes: int = 1
    tasks_per_node: int = 1
    points_per_task: int = 1
    parallelism: int | None = None
    max_submit: int | None = None
    requeues: int = 100
    warn_seconds: int = 90
    setup: tuple[str, ...] = ()
    prefix: str = ""
    python: str | None = None
    offline: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    sbatch: tuple[str, ...] = ()
    prepare: Mapping[str, Any] = field(default_factory=dict)
    wait: bool = True
    poll_seconds: float = 10.0
    __no_type_check__ = True

    def __post_init__(self) -> None:
        for name in (*_PLAIN, "python"):
            _one_line(name, getattr(self, name), or_none=True)
        _one_line("prefix", self.prefix)
        for name, least in (("cpus", 1), ("nodes", 1), ("tasks_per_node", 1), ("points_per_task", 1)):
            whole_number(f"{KEY}.{name}", getattr(self, name), least)
        for name in ("requeues", "warn_seconds"):
            whole_number(f"{KEY}.{name}", getattr(self, name), 0)
        for name, least in (("gpus", 0), ("parallelism", 1), ("max_submit", 1)):
            if getattr(self, name) is not None:
                whole_number(f"{KEY}.{name}", getattr(self, name), least)
        for name in ("offline", "wait"):
            true_or_false(f"{KEY}.{name}", getattr(self, name))
        positive_number(f"{KEY}.poll_seconds", self.poll_seconds)
        for name in ("setup", "sbatch"):
            object.__setattr__(self, name, strings(f"{KEY}.{name}", getattr(self, name)))
        self._check_time()
        self._check_memory()
        self._check_sbatch()
        self._check_environment()
        self._check_prepare()

    @classmethod
    def from_config(cls, settings: Mapping[str, Any]) -> "SlurmSettings":
        """From a launcher's config.

        Raises:
            UserError: it has a key that is none.
        """
        known = [each.name for each in fields(cls)]
        for name in settings:
            if name not in known:
                raise UserError(f"{KEY}.{name}: no such setting; there are {', '.join(known)}")
        return cls(**settings)

    def plain(self) -> dict[str, Any]:
        """As JSON takes it; `from_config` reads it back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @property
    def processes(self) -> int:
        """Of one task."""
        return self.nodes * self.tasks_per_node

    @property
    def seconds(self) -> int | None:
        """The time limit; None where the cluster's own holds."""
        return None if self.time is None else _seconds(self.time)

    @property
    def warning(self) -> int:
        """Seconds before the time limit at which a task is told; at most a third of the limit."""
        return self.warn_seconds if self.seconds is None else min(self.warn_seconds, self.seconds // 3)

    def for_preparation(self) -> "SlurmSettings":
        """What the preparation job asks for: one process, and what `prepare` says."""
        alone = replace(self, nodes=1, tasks_per_node=1, prepare={})
        return replace(alone, **self.prepare)

    def options(self) -> list[str]:
        """As sbatch takes them, less what belongs to one job: name, output, array, dependency."""
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

    def _check_time(self) -> None:
        if self.time is None:
            return
        # YAML reads a bare 24:00:00 as the number 86400, which Slurm would take for minutes
        if not isinstance(self.time, str) or _TIME.fullmatch(self.time) is None:
            raise UserError(
                f"{KEY}.time: {self.time!r} is no time limit; write hours in quotes, such as '2:00:00'"
            )
        if _seconds(self.time) < 60:
            raise UserError(f"{KEY}.time: {self.time} is less than a minute, Slurm's least; raise it")

    def _check_memory(self) -> None:
        if self.mem is not None and (not isinstance(self.mem, str) or _MEMORY.fullmatch(self.mem) is None):
            raise UserError(f"{KEY}.mem: {self.mem!r} is no size; write it as 16G or 500M")

    def _check_sbatch(self) -> None:
        for option in self.sbatch:
            _one_line("sbatch", option)
            if not option.startswith("-"):
                raise UserError(f"{KEY}.sbatch: {option!r} is no option; write it as --exclude=node7")
            if option.partition("=")[0] in _OURS:
                raise UserError(f"{KEY}.sbatch: {option} would undo what the sweep sets itself; remove it")

    def _check_environment(self) -> None:
        if not isinstance(self.environment, Mapping):
            raise UserError(
                f"{KEY}.environment: {self.environment!r} is no mapping; write it as {{NAME: value}}"
            )
        for name, value in self.environment.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise UserError(f"{KEY}.environment: {name!r} is no name of a variable; rename it")
            if not isinstance(value, str):
                raise UserError(f"{KEY}.environment.{name}: {value!r} is not a string; put it in quotes")
            _one_line(f"environment.{name}", value)
        object.__setattr__(self, "environment", dict(self.environment))

    def _check_prepare(self) -> None:
        if not isinstance(self.prepare, Mapping):
            raise UserError(f"{KEY}.prepare: {self.prepare!r} is no mapping; write it as {{time: '1:00:00'}}")
        for name in self.prepare:
            if name not in _PREPARES:
                raise UserError(f"{KEY}.prepare.{name}: not to be set here; there are {', '.join(_PREPARES)}")
        object.__setattr__(self, "prepare", dict(self.prepare))
        if self.prepare:
            try:
                self.for_preparation()
            except UserError as error:
                raise UserError(str(error).replace(KEY, f"{KEY}.prepare", 1)) from None


_OURS = {
    "--array", "-a", "--dependency", "-d", "--job-name", "-J", "--output", "-o", "--open-mode", "--signal",
    "--requeue", "--no-requeue", "--chdir", "-D", "--parsable", "--wrap", "--kill-on-invalid-dep", "--wait",
    "-W",
}  # fmt: skip


def _one_line(name: str, value: object, *, or_none: bool = False) -> None:
    if or_none and value is None:
        return
    if not isinstance(value, str) or "\n" in value or "\0" in value or (or_none and not value):
        raise UserError(f"{KEY}.{name}: {value!r} is not a line of text; put it in quotes")


def _seconds(time: str) -> int:
    """Of a time limit as Slurm writes it.

    >>> _seconds("90"), _seconds("2:30"), _seconds("2:00:00"), _seconds("1-12"), _seconds("1-12:30")
    (5400, 150, 7200, 129600, 131400)
    """
    found = _TIME.fullmatch(time)
    assert found
    part = {name: int(value or 0) for name, value in found.groupdict().items()}
    hours = 24 * part["days"] + part["h1"] + part["h2"]
    return 3600 * hours + 60 * (part["m1"] + part["m2"] + part["minutes"]) + part["s1"] + part["s2"]
