"""`status`: the same as `sweep status`."""

from optical_sweeps.verbs.sweep import dispatch


def run(arguments: list[str]) -> None:
    """Hand over to `sweep`, its help too."""
    dispatch.run(["status", *arguments])
