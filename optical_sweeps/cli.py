"""The command line: `optical-sweeps COMMAND ...`.

Heavy libraries are imported when a command needs them, so that `--help` answers at once.
"""

import importlib
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from optical_sweeps import __version__
from optical_sweeps.commands.arguments import parse, parse_composed, parser_of
from optical_sweeps.commands.completion import complete
from optical_sweeps.commands.registry import COMMANDS
from optical_sweeps.errors import UsageError, UserError, leave_on_user_error
from optical_sweeps.home_folder import provide_home
from optical_sweeps.sweeps.conf_folder import conf_folder
from optical_sweeps.terminal_encoding import tolerate_encodings
from optical_sweeps.terminal_text import message_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = ("-h", "--help")
COMPLETION = ("-sc", "--shell-completion", "--shell_completion")
GROUPS_HELP = "config groups, as group=OPTION:\n$APP_CONFIG_GROUPS"
"""Hydra's help template: it prints the config groups without a header."""
CLOSED_PIPE = 128 + 13
"""The exit code that a shell shows for a program that SIGPIPE ended."""
TAKE_TUNED_SETTINGS = ("train", "sweep plan", "sweep submit")
FOOTER = """
`optical-sweeps COMMAND --help` explains a command and lists its settings and config groups.
`optical-sweeps COMMAND --cfg job` prints the config of a command that has one.
Tab completion: eval "$(optical-sweeps -sc install=bash)"

Exit codes: 0 success, 1 bad input or a failed run, 2 a command line that cannot be parsed,
75 a sweep or run that SIGTERM stopped: run the same command again to continue."""


def main() -> None:
    """Entry point of the `optical-sweeps` command."""
    with _reader_may_leave():
        _main()


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """End quietly if the program that reads the output, such as `head`, ends before this one."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed_pipe(stream)]
        if not closed:  # another pipe, such as that of a worker
            raise
        for stream in closed:  # the interpreter flushes them once more when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(CLOSED_PIPE) from None


def _is_closed_pipe(stream: TextIO) -> bool:
    """Whether a stream is a pipe whose reader has gone."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # no file at all
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _main() -> None:
    tolerate_encodings()
    provide_home()
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # no Python process started here imports the working folder
    sys.excepthook = _print_defect
    try:
        _dispatch(sys.argv[1:])
    except UserError as error:
        sys.stderr.write(message_text(f"error: {error}\n"))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        from optical_sweeps.runs.failure import DISK_ERRORS

        if error.errno not in DISK_ERRORS:
            raise
        message = (
            f"error: {error.filename or Path.cwd()}: {error.strerror}; grant access or free space, or choose "
            "another folder (see --help)\n"
        )
        sys.stderr.write(message_text(message))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit("interrupted; run the same command again to continue")


def _print_defect(kind: type[BaseException], error: BaseException, location: TracebackType | None) -> None:
    """Print the traceback of a defect like any other message: it may contain texts of files, and secrets."""
    sys.stderr.write(message_text("".join(traceback.format_exception(kind, error, location))))


def _dispatch(words: list[str]) -> None:
    if not words or words[0] in (*HELP, "help"):
        sys.stdout.write(_overview("") + "\n")
    elif words[0] in ("-V", "--version"):
        sys.stdout.write(f"optical-sweeps {__version__}\n")
    elif words[0] in COMPLETION:
        complete(words, run_hydra)
    elif words[0] == "status":
        raise UsageError(f"this is now spelled: optical-sweeps sweep {' '.join(words)}")
    elif words[0] == "sweep" and (len(words) == 1 or words[1] in (*HELP, "help")):
        sys.stdout.write(_overview("sweep ") + "\n")
    else:
        _run(*_split(words))


def _split(words: list[str]) -> tuple[str, list[str]]:
    """The name of the command, and its arguments.

    Raises:
        UsageError: there is no such command.
    """
    length = 2 if words[0] == "sweep" else 1
    name = " ".join(words[:length])
    if name not in COMMANDS:
        known = _names("sweep " if length == 2 else "")
        raise UsageError(f"{name}: no such command; the commands are {', '.join(known)}")
    return name, with_tuned_settings(words[length:]) if name in TAKE_TUNED_SETTINGS else words[length:]


def with_tuned_settings(words: list[str]) -> list[str]:
    """Arguments in which `tuned=FOLDER` is the folder of configs that a tuning wrote.

    Raises:
        UserError: the folder has no tuned settings, or another folder of configs is named too.
    """
    folders = [Path(word.removeprefix("tuned=")) for word in words if word.startswith("tuned=")]
    if not folders:
        return words
    *_, folder = folders
    if not (folder / "tuned_settings").is_dir():
        raise UserError(f"tuned: {folder} has no tuned_settings; name a folder that `tune` wrote")
    if any(word.partition("=")[0] in ("-cd", "--config-dir") for word in words):
        raise UserError("tuned: --config-dir is given too; copy the folder tuned_settings into it instead")
    return ["--config-dir", str(folder.resolve()), *(word for word in words if not word.startswith("tuned="))]


def _run(name: str, words: list[str]) -> None:
    command = COMMANDS[name]
    run = importlib.import_module(f"optical_sweeps.commands.{command.module}").run
    if command.config is None:
        arguments = parse(name, words)
        with _output(arguments):
            run(**arguments)
        return
    given = parse_composed(name, words)
    if given.help:
        sys.stdout.write(parser_of(name, for_help=True).format_help() + "\n")
        _print_settings(name, command.config, run, given.hydra)
        return
    if command.folder is None and not given.options:
        run_hydra(command.config, run, given.hydra)
        return

    def task(config: "DictConfig") -> object:
        folder = {} if command.folder is None else {command.folder: given.folder}
        with _output(given.options):
            return run(config, **folder, **given.options)

    run_hydra(command.config, leave_on_user_error(task), given.hydra)


def _print_settings(name: str, root: str, run: Callable[["DictConfig"], object], hydra: Sequence[str]) -> None:
    """Print the settings of a root config, and the config groups; of a run's config, Hydra lists all groups."""
    from optical_sweeps.commands.config_help import is_of_runs, settings_help

    if text := settings_help(conf_folder(), root):
        sys.stdout.write(f"{text}\n\n")
    if is_of_runs(conf_folder(), root):
        end = f"optical-sweeps {name} --cfg job prints all settings."
        run_hydra(root, run, [*hydra, "--help", f"hydra.help.template='{GROUPS_HELP}\n{end}'"])


def _output(options: Mapping[str, object]) -> AbstractContextManager[None]:
    """With --json, standard output is for JSON alone."""
    if not options.get("as_json"):
        return nullcontext()
    from optical_sweeps.console import json_alone

    return json_alone()


def run_hydra(config: str, task: Callable[["DictConfig"], object], words: Sequence[str]) -> None:
    """Run a task with a composed config, as `hydra.main` does.

    Raises:
        UserError: the config cannot be composed.
    """
    # With this set Hydra raises exceptions instead of printing parts of their tracebacks.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from optical_sweeps.sweeps.hydra_messages import hydra_message
    from optical_sweeps.sweeps.override_text import quoted_overrides
    from optical_sweeps.sweeps.run_id_resolver import register_resolvers

    _refuse_two_modes(words)
    register_resolvers()
    sys.argv = [sys.argv[0], *quoted_overrides(words)]
    try:
        hydra.main(config_path=str(conf_folder()), config_name=config, version_base="1.3")(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(hydra_message(error)) from error


def _refuse_two_modes(words: Sequence[str]) -> None:
    """Hydra prints or sweeps, and ends in a traceback when told to do both."""
    flags = [word.partition("=")[0] for word in words]
    printing = [flag for flag in flags if flag in ("-c", "--cfg", "-i", "--info")]
    if printing and (multirun := [flag for flag in flags if flag in ("-m", "--multirun")]):
        raise UsageError(
            f"{printing[0]} prints the config of one run; leave out {multirun[0]}, "
            "or list the runs of a grid with: optical-sweeps sweep plan"
        )


def _names(group: str) -> list[str]:
    """The commands of a group, without its prefix; at the top, `sweep` stands for its group."""
    names = (name.removeprefix(group) for name in COMMANDS if name.startswith(group))
    return list(dict.fromkeys(name.split()[0] for name in names))


def _overview(group: str) -> str:
    """The help of the program, or of `sweep`."""
    chosen = {name.removeprefix(group): command for name, command in COMMANDS.items() if name.startswith(group)}
    width = max(map(len, chosen))
    return "\n".join(
        [
            f"usage: optical-sweeps {group}COMMAND ...",
            "",
            "Optimal-transport distillation for cross-lingual retrieval, and sweeps of it.",
            "",
            "commands:",
            *(f"  {name:<{width}}  {command.summary}" for name, command in chosen.items()),
            "",
            "examples:",
            *(f"  {command.examples[0]}" for command in chosen.values()),
            FOOTER,
        ]
    )
