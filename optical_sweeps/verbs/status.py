"""`status`: the same as `sweep status`."""

from optical_sweeps.verbs.sweep.status import run

__all__ = ["run"]
