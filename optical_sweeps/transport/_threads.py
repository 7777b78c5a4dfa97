"""Kernels executed in parallel over the problems of a batch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_CHUNKS_PER_THREAD = 4  # ragged problems differ in work, and small chunks balance it
_SERIAL_BELOW = 1 << 17  # cost entries (1 ms of work) below which a second thread costs more than it saves


def over_problems(kernel: Callable[[int, int], None], problems: int, entries: int, threads: int | None) -> None:
    """Call `kernel(start, stop)` on chunks that cover `range(problems)`, in `threads` threads.

    Python threads replace numba's parallel regions, which abort the process if two threads enter one at once
    or after a fork.

    Args:
        entries: cost entries of the batch; a small batch is solved in the calling thread.
        threads: None uses as many threads as torch does (`torch.set_num_threads`).
    """
    threads = min(threads or torch.get_num_threads(), problems)
    if threads <= 1 or entries < _SERIAL_BELOW:
        kernel(0, problems)
        return
    size = -(-problems // (threads * _CHUNKS_PER_THREAD))
    starts = range(0, problems, size)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(kernel, starts, [min(start + size, problems) for start in starts]))
