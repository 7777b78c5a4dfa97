"""`warm-up`: compile what is compiled at first use, so that no run waits for it."""

from optical_sweeps.console import progress, say
from optical_sweeps.errors import UserError


def run(arguments: list[str]) -> None:
    """Compile the measures' kernels; at once where that was done before."""
    if arguments:
        raise UserError(f"warm-up: takes no arguments, not {arguments[0]}")
    from optical_sweeps.evaluation.measures import is_warm, warm_up

    if is_warm():
        return
    with progress("compiling") as advance:
        seconds = warm_up(advance)
    say(f"compiled the measures' kernels in {seconds:.0f} s (once an environment)")
