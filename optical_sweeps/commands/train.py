"""`train`: one run or, with -m, a sweep of runs."""

from optical_sweeps.sweeps.task import perform as run

__all__ = ["run"]
