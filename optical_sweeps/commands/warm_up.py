"""`warm-up`: compile the kernels that are compiled at first use, so that no run waits for them."""

import time

from optical_sweeps.console import echo, progress


def run() -> None:
    """Compile the kernels of measures and transport; returns at once if they are compiled."""
    import torch

    from optical_sweeps.evaluation.measures import is_warm, warm_up
    from optical_sweeps.transport import Exact, Sinkhorn, TransportProblem

    start = time.perf_counter()
    with progress("compiling kernels") as advance:
        was_warm = is_warm()
        if not was_warm:
            warm_up(advance)
        for solver in (Sinkhorn(), Exact()):
            solver(TransportProblem.uniform(torch.rand(2, 3, 4)))
    if not was_warm:
        echo(f"compiled the kernels of measures and transport in {time.perf_counter() - start:.0f} s")
