"""Argument parsing of all commands: argparse with one-line errors, and a folder before Hydra's overrides."""

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from optical_sweeps.commands.registry import COMMANDS, Command
from optical_sweeps.config_classes import ALLOW_FLAG
from optical_sweeps.errors import UsageError, UserError

HYDRA_FLAGS_WITH_VALUE = (
    "-c", "--cfg", "-p", "--package", "-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir",
)  # fmt: skip
HYDRA_HELP = """\
Hydra's flags:
  -m, --multirun           run every combination of comma-separated values
  -c job, --cfg job        print the composed config and exit
  -cd DIR, --config-dir DIR
                           also search this folder for configs
  --info                   print Hydra's search path, defaults and plugins
"""
FOLDERS = {
    "sweep": ("SWEEP", "the sweep's folder, such as multirun/demo"),
    "run": ("RUN", "the folder of a finished run, such as multirun/demo/0123456789ab"),
}
STANDARD_INPUT = "-"
"""A value that stands for standard input."""
BYTE_ORDER_MARK = "\ufeff"
"""What some editors write first."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors are a `UsageError` of one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog.partition(' ')[2]}: {message}; see {self.prog} --help")

    def options(self) -> dict[str, bool]:
        """The long options, and whether each takes a value."""
        return {
            option: action.nargs != 0
            for action in self._actions
            for option in action.option_strings
            if option.startswith("--")
        }

    def choices(self) -> list[str]:
        """The values of positional arguments that accept a fixed set."""
        positional = (action for action in self._actions if not action.option_strings)
        return [str(choice) for action in positional for choice in action.choices or ()]


@dataclass(frozen=True)
class ComposedArguments:
    """The command line of a command with a config.

    Args:
        folder: the folder that is given before the overrides.
        options: values of the command's own options.
        hydra: overrides and Hydra's flags.
        help: whether `--help` was given.
    """

    folder: Path | None
    options: dict[str, object]
    hydra: list[str]
    help: bool


def parser_of(name: str, *, for_help: bool = False) -> CommandParser:
    """The argument parser of a command.

    Args:
        name: key of `COMMANDS`.
        for_help: include the arguments that Hydra parses.
    """
    command = COMMANDS[name]
    summary = f"{command.summary[0].upper()}{command.summary[1:]}."
    parser = CommandParser(
        prog=f"optical-sweeps {name}",
        description=f"{summary}\n\n{command.details}".rstrip(),
        epilog="\n".join(["examples:", *(f"  {example}" for example in command.examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=command.config is None,
    )
    if command.config is not None:
        parser.add_argument(
            "-h", "--help", action="store_true", help="show this help, the settings and the config groups"
        )
    module = importlib.import_module(f"optical_sweeps.commands.{command.module}")
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    if for_help and command.config is not None:
        if command.folder is not None:
            metavar, meaning = FOLDERS[command.folder]
            parser.add_argument("folder", metavar=metavar, nargs="?", help=meaning)
        parser.add_argument("override", metavar="OVERRIDE", nargs="*", help="key=value of the config")
        parser.epilog = f"{HYDRA_HELP}\n{parser.epilog}"
    return parser


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Add the positional folder of a sweep, and `--json`."""
    metavar, meaning = FOLDERS["sweep"]
    parser.add_argument("sweep", metavar=metavar, type=Path, help=meaning)
    add_json(parser)


def add_trust(parser: argparse.ArgumentParser, *, config_dir: bool = False) -> None:
    """Add the options that accept what a stored folder names and what can run code.

    Args:
        config_dir: add `--config-dir` too.
    """
    parser.add_argument(
        ALLOW_FLAG, action="append", default=[], dest="classes", metavar="CLASS",
        help="a class outside optical_sweeps that the runs may use; its code runs; repeatable",
    )  # fmt: skip
    if config_dir:
        parser.add_argument(
            "-cd", "--config-dir", metavar="DIR", help="the sweep's own configs, if it has some"
        )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON for programs")


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands that read a grid: overrides and the folder of configs."""
    parser.add_argument("overrides", metavar="OVERRIDE", nargs="*", help="as for `train -m`, such as seed=1,2")
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="accepted as in `train -m`; has no effect"
    )
    parser.add_argument("-cd", "--config-dir", metavar="DIR", help="also search this folder for configs")
    parser.add_argument("-cn", "--config-name", metavar="NAME", default="train", help="root config of a run")
    add_json(parser)


def parse(name: str, words: Sequence[str]) -> dict[str, object]:
    """The keyword arguments of a command without a config.

    Raises:
        UsageError: an unknown, missing or superfluous argument, or an old spelling.
    """
    parser = parser_of(name)
    words = _joined(parser, words)
    if not any(action.dest == "overrides" for action in parser._actions):
        _refuse_old_words(name, parser, words)
    return vars(parser.parse_intermixed_args(words))


def parse_composed(name: str, words: Sequence[str]) -> ComposedArguments:
    """Split the command line of a command with a config.

    Values of the command's own options are taken as they are: they never reach Hydra's override grammar.

    Raises:
        UsageError: several folders, an option without its value, or an old spelling.
    """
    command, parser = COMMANDS[name], parser_of(name)
    words = _joined(parser, words)
    known, hydra = parser.parse_known_args(words)
    folder = None
    if command.folder is not None:
        places = _folder_places(hydra)
        if len(places) > 1:
            parser.error(f"{hydra[places[1]]} follows {hydra[places[0]]}; name one folder")
        folder = Path(hydra.pop(places[0])) if places else None
        _refuse_old_keys(name, command, parser, folder, words)
    options = vars(known)
    is_help = options.pop("help")
    return ComposedArguments(folder, options, hydra, is_help)


def _joined(parser: CommandParser, words: Sequence[str]) -> list[str]:
    """Write `--option value` as `--option=value`, so that a value may begin with a hyphen."""
    options, joined, rest = parser.options(), [], iter(words)
    for word in rest:
        if options.get(word) and (value := next(rest, None)) is not None:
            joined.append(f"{word}={value}")
        else:
            joined.append(word)
    return joined


def _folder_places(words: Sequence[str]) -> list[int]:
    """The indices of words that are neither an override nor a flag of Hydra nor its value."""
    # os.path: pathlib raises OSError for a word that is longer than a file name
    return [
        number
        for number, word in enumerate(words)
        if not word.startswith("-")
        and not (number and words[number - 1] in HYDRA_FLAGS_WITH_VALUE)
        and (os.path.isdir(word) or ("=" not in word and not word.startswith(("~", "+"))))  # noqa: PTH112
    ]


def _refuse_old_keys(
    name: str, command: Command, parser: CommandParser, folder: Path | None, words: Sequence[str]
) -> None:
    """Refuse `sweep=FOLDER`, `experiment=NAME`, `run=FOLDER` and keys that became options."""
    folders, options, rest = [], [], []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or word == str(folder) or word.startswith("-"):
            rest.append(word)
        elif key == command.folder:
            folders.append(_unquoted(value))
        elif key == "experiment" and command.folder == "sweep":
            folders.append(f"multirun/{value}")
        elif f"--{key}" in parser.options():
            takes_value = parser.options()[f"--{key}"]
            options += [f"--{key}", _unquoted(value)] if takes_value else [f"--{key}"]
        else:
            rest.append(word)
    if folders or options:
        _refuse(name, [*folders, *rest, *options])


def _refuse_old_words(name: str, parser: CommandParser, words: Sequence[str]) -> None:
    """Refuse `key=value` and bare words that became options."""
    options, renewed = parser.options(), []
    for word in words:
        key, equals, value = word.partition("=")
        is_old = f"--{key}" in options and options[f"--{key}"] == bool(equals) and not os.path.exists(word)  # noqa: PTH110
        renewed += [f"--{key}", *([value] if equals else [])] if is_old else [word]
    if renewed != list(words):
        _refuse(name, renewed)


def _refuse(name: str, renewed: Sequence[str]) -> NoReturn:
    raise UsageError(f"this is now spelled: optical-sweeps {name} {shlex.join(renewed)}")


def _unquoted(value: str) -> str:
    """A value without the quotes that Hydra's grammar needed.

    >>> _unquoted("'red cat'")
    'red cat'
    """
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def free_text(option: str, text: str) -> str:
    """`text`, which must not be empty. UTF-8 is understood in every locale, the locale's encoding too.

    Raises:
        UserError: it is empty, or contains bytes that are neither.
    """
    if not text.strip():
        raise UserError(f"{option}: empty; give a text")
    try:  # a UTF-8 terminal on a machine with another locale: valid UTF-8 is never meant otherwise
        return text.encode(sys.getfilesystemencoding(), "surrogateescape").decode("utf-8")
    except UnicodeError:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UserError(f"{option}: {text!r} is not valid in the terminal's encoding; use UTF-8") from None
        return text


def text_or_line(option: str, text: str) -> str:
    """`text`, or the next line of standard input if it is `-`.

    Raises:
        UserError: as in `free_text`.
    """
    line = sys.stdin.readline() if text == STANDARD_INPUT else text
    return free_text(option, line.removeprefix(BYTE_ORDER_MARK).rstrip("\r\n"))
