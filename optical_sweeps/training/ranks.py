"""The processes that train one run together, one per device, and how they agree.

`srun` or `torchrun` starts them; each executes the same command. Rank 0 reads, writes and decides; the others
only train. A process that trains alone is rank 0 of a world of one, where every method here is free.
"""

import atexit
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import ParamSpec, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT = timedelta(days=2)
"""How long the other ranks wait for rank 0, which may train a teacher. A process that dies ends all of them."""


@dataclass(frozen=True)
class Ranks:
    """This process among the processes of the run.

    Args:
        rank: number of this process, from 0.
        world: number of processes.
        local_rank: number of this process on its node, from 0, which is the number of its device.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def broadcast_from_rank0(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` on rank 0 and return its result on every rank; its error is raised on every rank.

        The result is pickled and sent, so it should be small.
        """
        if self.world == 1:
            return work(*args, **kwargs)
        result, error = self._outcome(work, *args, **kwargs)
        message = [(result, _portable(error))]
        distributed.broadcast_object_list(message, src=0)
        if not self.is_first:
            result, error = message[0]
        if error is not None:
            raise error
        return cast(T, result)

    def run_on_rank0(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Call `work` on rank 0 while the others wait; they return None. An error is raised on every rank."""
        if self.world == 1:
            return work(*args, **kwargs)
        result, error = self._outcome(work, *args, **kwargs)
        message = [_portable(error)]
        distributed.broadcast_object_list(message, src=0)
        if not self.is_first:
            error = message[0]
        if error is not None:
            raise error
        return result

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        if self.world == 1:
            return flag
        flags = torch.tensor(int(flag))
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)

    def all_of(self, value: T) -> list[T]:
        """The values of all ranks, in order of rank, on every rank."""
        if self.world == 1:
            return [value]
        values = [value] * self.world
        distributed.all_gather_object(values, value)
        return values

    def share(self, total: int) -> range:
        """The items of a batch of `total` that belong to this rank; every item belongs to exactly one rank.

        >>> [list(Ranks(rank, 2).share(5)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        return range(self.rank * total // self.world, (self.rank + 1) * total // self.world)

    def sum(self, values: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """The sum over ranks, element by element, without gradient."""
        if self.world == 1:
            return values
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total

    def _outcome(
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T | None, BaseException | None]:
        """Result and error of `work` on rank 0; nothing on the others."""
        if not self.is_first:
            return None, None
        try:
            return work(*args, **kwargs), None
        except (Exception, Interrupted) as error:
            return None, error


ALONE = Ranks()
"""The rank of a process that trains without others."""


def join(world: int, device: str) -> Ranks:
    """The ranks of a world of this size; the first call connects the processes.

    Raises:
        UserError: the number of processes that were started is a different one.
    """
    if world == 1:
        return ALONE
    rank, started, local_rank = _environment()
    if started != world:
        raise UserError(
            f"machine.devices x machine.nodes: {world}, but this command was started as one of {started} "
            f"processes; start one per device: `srun --ntasks-per-node=DEVICES optical-sweeps ...` under Slurm "
            "or `torchrun --nproc-per-node=DEVICES -m optical_sweeps ...`"
        )
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        if device == "cuda":
            torch.cuda.set_device(local_rank)
        distributed.init_process_group(backend, rank=rank, world_size=world, timeout=TIMEOUT)
        atexit.register(distributed.destroy_process_group)
    return Ranks(rank, world, local_rank)


def _environment() -> tuple[int, int, int]:
    """Rank, world size and local rank as the launcher set them; (0, 1, 0) without a launcher.

    What a launcher leaves out is taken from Slurm's variables.

    Raises:
        UserError: a variable is missing, or not a number.
    """
    environment = os.environ
    if "RANK" in environment and "WORLD_SIZE" in environment:
        rank, world = _number("RANK"), _number("WORLD_SIZE")
        if world == 1:
            return rank, world, _number("LOCAL_RANK") if "LOCAL_RANK" in environment else 0
        local_rank = _number("LOCAL_RANK", "SLURM_LOCALID")
    elif "SLURM_STEP_ID" in environment and _number("SLURM_STEP_NUM_TASKS", default="1") > 1:
        rank, world = _number("SLURM_PROCID"), _number("SLURM_STEP_NUM_TASKS")
        local_rank = _number("SLURM_LOCALID")
    else:
        return 0, 1, 0
    _set_rendezvous()
    return rank, world, local_rank


def _number(*names: str, default: str | None = None) -> int:
    """The value of the first of these variables that is set."""
    name, text = _variable(*names, default=default)
    if not text.isascii() or not text.isdigit():
        raise UserError(f"environment variable {name}={text!r} is not a number; {_START}")
    return int(text)


def _variable(*names: str, default: str | None = None) -> tuple[str, str]:
    for name in names:
        if text := os.environ.get(name, "").strip():
            return name, text
    if default is None:
        raise UserError(f"environment variable {names[0]} is not set, but several processes train; {_START}")
    return names[0], default


_START = "use srun or torchrun, or set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT"


def _set_rendezvous() -> None:
    """Let the processes meet on the first node of the job step, at a port derived from the job's number."""
    if not os.environ.get("MASTER_ADDR"):
        if not any(os.environ.get(name) for name in _NODE_LISTS):
            _variable("MASTER_ADDR")
        name, nodes = _variable(*_NODE_LISTS)
        try:
            os.environ["MASTER_ADDR"] = first_node(nodes)
        except ValueError as error:
            raise UserError(f"environment variable {name}: {error}; {_START}") from None
    if not os.environ.get("MASTER_PORT"):
        if not os.environ.get("SLURM_JOB_ID"):
            _variable("MASTER_PORT")
        step = _number("SLURM_JOB_ID") * 100 + _number("SLURM_STEP_ID", default="0")
        os.environ["MASTER_PORT"] = str(15_000 + step % 20_000)
    _number("MASTER_PORT")


_NODE_LISTS = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")


def first_node(nodes: str) -> str:
    """The first node of a Slurm node list.

    >>> first_node("gpu[03-05,09]"), first_node("login,gpu[1-2]")
    ('gpu03', 'login')
    """
    match = re.match(r"([^,\[]+)(?:\[([^,\-\]]+))?", nodes)
    if match is None:
        raise ValueError(f"not a list of nodes: {nodes!r}")
    return match[1] + (match[2] or "")


def _portable(error: BaseException | None) -> BaseException | None:
    """An error that every rank can unpickle: our own errors as they are, those of libraries as text."""
    if error is None or isinstance(error, UserError | Interrupted):
        return error
    return RuntimeError(f"rank 0 failed: {type(error).__name__}: {error}")
