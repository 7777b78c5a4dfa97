"""`warm-up`: compile what is compiled at first use, so that no run waits for it."""

import time

from optical_sweeps.console import echo, progress
from optical_sweeps.errors import UserError

HELP = """\
optical-sweeps warm-up

Compile the kernels of measures and transport, once an environment: half a minute, or a moment where
that was done before."""


def run(arguments: list[str]) -> None:
    """Compile the kernels of measures and transport; a moment where that was done before."""
    if {"-h", "--help"} & set(arguments):
        echo(HELP)
        return
    if arguments:
        raise UserError(f"warm-up: takes no arguments, not {arguments[0]}")
    from optical_sweeps.evaluation.measures import is_warm, warm_up

    start = time.perf_counter()
    with progress("compiling kernels, once an environment") as advance:
        was_warm = is_warm()
        if not was_warm:
            warm_up(advance)
        _solve_once()
    if not was_warm:
        echo(f"compiled the kernels of measures and transport in {time.perf_counter() - start:.0f} s")


def _solve_once() -> None:
    import torch

    from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem

    for solver in (Sinkhorn(), Exact()):
        solver(TransportProblem.uniform(torch.rand(2, 3, 4)))
