"""`tune`: search the settings of every objective of a study with equal effort."""

from argparse import ArgumentParser
from collections.abc import Sequence

from optical_sweeps.console import echo


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "overrides",
        metavar="OVERRIDE",
        nargs="*",
        help="key=value of `train`, of `tuning`, or of `search_space`",
    )
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="also search this folder for configs")


def run(overrides: Sequence[str], config_dir: str | None) -> None:
    """Perform the missing trials, write the results, and print where they are."""
    from optical_sweeps.tuning.tune import tune

    folder = tune(overrides, config_dir)
    echo(f"tuned settings, trials and effort in {folder}")
    echo(f"use them: optical-sweeps train -m tuned={folder} ...")
