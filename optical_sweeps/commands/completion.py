"""Tab completion: commands and options from the parsers, overrides from Hydra."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from optical_sweeps.commands.arguments import HYDRA_FLAGS_WITH_VALUE, CommandParser, parser_of
from optical_sweeps.commands.registry import COMMANDS

if TYPE_CHECKING:
    from omegaconf import DictConfig

RunHydra = Callable[[str, Callable[["DictConfig"], object], Sequence[str]], None]
"""Runs Hydra with the name of a root config, a task and the words of the command line."""


def complete(words: Sequence[str], run_hydra: RunHydra) -> None:
    """Print the completions of `$COMP_LINE`, or the script that installs completion.

    Args:
        words: `-sc` and what follows it, such as `install=bash` or `query=bash`.
        run_hydra: answers for overrides.
    """
    if not any(word.startswith("query=") for word in words):
        run_hydra("train", _no_task, words)
        return
    *before, current = _typed(os.environ.get("COMP_LINE", ""))
    length = 2 if before[:1] == ["sweep"] else 1
    name = " ".join(before[:length])
    if len(before) < length:
        group = f"{before[0]} " if before else ""
        names = (command.removeprefix(group) for command in COMMANDS if command.startswith(group))
        _print(dict.fromkeys(command.split()[0] for command in names))
    elif name in COMMANDS:
        _complete_arguments(name, before[length:], current, words, run_hydra)


def _complete_arguments(
    name: str, before: Sequence[str], current: str, words: Sequence[str], run_hydra: RunHydra
) -> None:
    parser = parser_of(name)
    config = COMMANDS[name].config or ("train" if name in ("sweep plan", "sweep submit") else None)
    if current.startswith("-"):
        _print(option for option in parser.options() if option.startswith(current))
    elif config is None:
        _print(parser.choices() if not before else ())
    else:
        line = ["optical-sweeps", *_hydra_words(parser, before), current]
        os.environ["COMP_LINE"] = " ".join(line)
        run_hydra(config, _no_task, words)


def _hydra_words(parser: CommandParser, words: Sequence[str]) -> list[str]:
    """The words that Hydra parses; any other would keep it from composing the config."""
    options, kept, rest = parser.options(), [], iter(words)
    for word in rest:
        if options.get(word):
            next(rest, None)
        elif word in HYDRA_FLAGS_WITH_VALUE:
            kept += [word, next(rest, "")]
        elif (
            ("=" in word or word.startswith(("-", "~")))
            and word not in options
            and not set(word) & set(" \t\n")
        ):
            kept.append(word)
    return kept


def _typed(line: str) -> list[str]:
    """The words after the program's name; the last is the one to complete, perhaps empty."""
    try:
        words = shlex.split(line)
    except ValueError:  # an open quote
        words = line.split()
    return [*words[1:], ""] if not line or line[-1].isspace() else words[1:] or [""]


def _print(completions: Iterable[str]) -> None:
    sys.stdout.write(" ".join(completions) + "\n")


def _no_task(config: "DictConfig") -> None:
    """The task of Hydra when it only completes."""
