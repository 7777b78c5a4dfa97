"""The processes that train one run together, one a device: who they are, and how they agree.

`srun` or `torchrun` starts them; each runs the same command. The first reads, writes and decides, the others
train along. A process that trains alone is the first of one, and nothing here then costs anything.
"""

import atexit
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, distributed

from optical_sweeps.errors import UserError
from optical_sweeps.interruption import Interrupted

T = TypeVar("T")

PATIENCE = timedelta(days=2)
"""The others wait so long for the first, which may train a teacher; a process that dies takes all with it."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among those of the run.

    Args:
        rank: from 0.
        world: how many they are.
        local_rank: from 0 on each node; the number of its device.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def broadcast_from_rank0(self, work: Callable[[], T]) -> T:
        """What `work` gives on the first rank, on all of them; it runs there alone, its error is everyone's.

        The result travels, so it should be small.
        """
        result, error = self._told(work, tell_result=True)
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def run_on_rank0(self, work: Callable[[], T]) -> T | None:
        """Run `work` on the first rank alone, while the others wait; its result stays there."""
        result, error = self._told(work, tell_result=False)
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank."""
        if self.world == 1:
            return flag
        flags = torch.tensor(int(flag))
        distributed.all_reduce(flags, distributed.ReduceOp.MAX)
        return bool(flags)

    def all_of(self, value: T) -> list[T]:
        """Every rank's value, in order of rank, on all of them."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def share(self, total: int) -> range:
        """Which of a batch's `total` items are this rank's: a stretch; every item is in exactly one.

        >>> [list(Ranks(rank, 2).share(5)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
        """
        return range(self.rank * total // self.world, (self.rank + 1) * total // self.world)

    def sum(self, values: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Over ranks, element by element, without gradient."""
        if self.world == 1:
            return values
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total

    def _told(self, work: Callable[[], Any], *, tell_result: bool) -> tuple[Any, BaseException | None]:
        if self.world == 1:
            return work(), None
        result: Any = None
        error: BaseException | None = None
        if self.is_first:
            try:
                result = work()
            except (Exception, Interrupted) as raised:
                error = raised
        message = [(result if tell_result else None, _portable(error))]
        distributed.broadcast_object_list(message, src=0)
        if self.is_first:
            return result, error
        return message[0]


ALONE = Ranks()
"""A process that trains by itself."""


def join(world: int, device: str) -> Ranks:
    """This process's place among `world` that train together; the first call meets the others.

    Raises:
        UserError: it was not started as one of so many.
    """
    if world == 1:
        return ALONE
    rank, started, local_rank = _place()
    if started != world:
        raise UserError(
            f"machine.devices x machine.nodes: {world}, but this command was started as one of {started} "
            f"processes; start one a device: `srun --ntasks-per-node=DEVICES optical-sweeps ...` under Slurm, "
            "or `torchrun --nproc-per-node=DEVICES -m optical_sweeps ...`"
        )
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
        if device == "cuda":
            torch.cuda.set_device(local_rank)
        distributed.init_process_group(backend, rank=rank, world_size=world, timeout=PATIENCE)
        atexit.register(distributed.destroy_process_group)
    return Ranks(rank, world, local_rank)


def _place() -> tuple[int, int, int]:
    """Rank, number of processes and local rank, from whoever started them; (0, 1, 0) if nobody did."""
    environment = os.environ
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return int(environment["RANK"]), int(environment["WORLD_SIZE"]), int(environment["LOCAL_RANK"])
    if "SLURM_STEP_ID" in environment and int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        _meet_under_slurm()
        return (
            int(environment["SLURM_PROCID"]),
            int(environment["SLURM_STEP_NUM_TASKS"]),
            int(environment["SLURM_LOCALID"]),
        )
    return 0, 1, 0


def _meet_under_slurm() -> None:
    """Where the processes of a job step meet: its first node, at a port that the job's number gives."""
    os.environ.setdefault("MASTER_ADDR", first_node(os.environ["SLURM_STEP_NODELIST"]))
    step = int(os.environ["SLURM_JOB_ID"]) * 100 + int(os.environ["SLURM_STEP_ID"])
    os.environ.setdefault("MASTER_PORT", str(15_000 + step % 20_000))


def first_node(nodes: str) -> str:
    """The first of Slurm's list of nodes.

    >>> first_node("gpu[03-05,09]"), first_node("login,gpu[1-2]")
    ('gpu03', 'login')
    """
    match = re.match(r"([^,\[]+)(?:\[([^,\-\]]+))?", nodes)
    if match is None:
        raise ValueError(f"not a list of nodes: {nodes!r}")
    return match[1] + (match[2] or "")


def _portable(error: BaseException | None) -> BaseException | None:
    """The error as it can travel: of ours as it is, of libraries as text."""
    if error is None or isinstance(error, UserError | Interrupted):
        return error
    return RuntimeError(f"the first rank failed: {type(error).__name__}: {error}")
