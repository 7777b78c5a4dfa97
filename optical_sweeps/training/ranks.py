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
    """Rank, world size and local rank as the launcher set them; (0, 1, 0) without a launcher."""
    environment = os.environ
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return int(environment["RANK"]), int(environment["WORLD_SIZE"]), int(environment["LOCAL_RANK"])
    if "SLURM_STEP_ID" in environment and int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        _set_slurm_rendezvous()
        return (
            int(environment["SLURM_PROCID"]),
            int(environment["SLURM_STEP_NUM_TASKS"]),
            int(environment["SLURM_LOCALID"]),
        )
    return 0, 1, 0


def _set_slurm_rendezvous() -> None:
    """Let the processes of a job step meet on its first node, at a port derived from the job's number."""
    os.environ.setdefault("MASTER_ADDR", first_node(os.environ["SLURM_STEP_NODELIST"]))
    step = int(os.environ["SLURM_JOB_ID"]) * 100 + int(os.environ["SLURM_STEP_ID"])
    os.environ.setdefault("MASTER_PORT", str(15_000 + step % 20_000))


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
