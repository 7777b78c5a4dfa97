"""A sweep as one HTML page: what it holds, gathered from run folders, and the page that shows it."""

from optical_sweeps.report.contents import Contents, gather
from optical_sweeps.report.page import render

__all__ = ["Contents", "gather", "render"]
