"""`status`: the same as `sweep status`."""

from optical_sweeps.commands import sweep as dispatch


def run(arguments: list[str]) -> None:
    """Hand over to `sweep`, its help too."""
    dispatch.run(["status", *arguments])
