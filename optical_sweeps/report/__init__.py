"""A sweep as one HTML page, its scores derived again, and the logs of a study for curves, claims and
figures."""

from optical_sweeps.report.contents import Contents, gather
from optical_sweeps.report.page import render

__all__ = ["Contents", "gather", "render"]
