"""The command line: `optical-sweeps VERB [Hydra overrides and flags]`.

Nothing heavy is imported until a verb runs: `--help` answers at once.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import NoReturn

from optical_sweeps import __version__
from optical_sweeps.errors import UserError
from optical_sweeps.sweeps.hydra_app import conf_folder


@dataclass(frozen=True)
class Verb:
    """A verb of the command line; its module's `run` takes the composed config, or the arguments.

    Args:
        of_sweep: its config has a key `sweep`, for which `experiment=NAME` may stand.
    """

    module: str
    summary: str
    config: str | None = None
    example: str = ""
    of_sweep: bool = False


VERBS = {
    "train": Verb(
        "optical_sweeps.commands.train",
        "distil, search and measure: one run, or with -m a sweep",
        "train",
        "optical-sweeps train -m objective=optical,contrastive mixture.ratio=0,0.5,1",
    ),
    "teacher": Verb(
        "optical_sweeps.commands.teacher",
        "build what the runs share: teacher, document index, English vectors",
        "teacher",
        "optical-sweeps teacher teacher.training.epochs=10",
    ),
    "evaluate": Verb(
        "optical_sweeps.commands.evaluate",
        "search and measure again with a finished run's student",
        "evaluate",
        "optical-sweeps evaluate run=multirun/demo/0123456789ab split=test",
    ),
    "curves": Verb(
        "optical_sweeps.commands.curves",
        "assemble nDCG@10 curves, tables and figures from W&B logs",
        "curves",
        "optical-sweeps curves sweep=multirun/demo",
        of_sweep=True,
    ),
    "sweep": Verb(
        "optical_sweeps.commands.sweep",
        "plan, submit, look at, retry, cancel and synchronise sweeps",
        None,
        "optical-sweeps sweep status multirun/demo",
    ),
    "claims": Verb(
        "optical_sweeps.commands.claims",
        "test objectives against each other: differences, equivalences, crossings",
        "claims",
        "optical-sweeps claims sweep=multirun/demo",
        of_sweep=True,
    ),
    "figures": Verb(
        "optical_sweeps.commands.figures",
        "every figure and table of a study, at paper size",
        "figures",
        "optical-sweeps figures experiment=demo",
        of_sweep=True,
    ),
    "report": Verb(
        "optical_sweeps.commands.report",
        "one HTML page of a sweep: curves, runs, queries, settings",
        None,
        "optical-sweeps report multirun/demo",
    ),
    "verify": Verb(
        "optical_sweeps.commands.verify",
        "derive a sweep's scores again from run files and compare with its logs",
        None,
        "optical-sweeps verify multirun/demo",
    ),
    "dashboard": Verb(
        "optical_sweeps.commands.dashboard",
        "a W&B workspace and report of a sweep",
        None,
        "optical-sweeps dashboard multirun/demo --dry-run",
    ),
    "search": Verb(
        "optical_sweeps.commands.search",
        "what a student finds for a query, and which tokens matched",
        "search",
        "optical-sweeps search run=multirun/demo/0123456789ab query='Katze'",
    ),
    "compare": Verb(
        "optical_sweeps.commands.compare",
        "the table of systems by languages: trained ones, BM25, translate-test, structured queries",
        "compare",
        "optical-sweeps compare experiment=demo 'systems=[bm25_untranslated,psq,zero_shot,optical]'",
    ),
    "export": Verb(
        "optical_sweeps.commands.export",
        "a student or a teacher as a folder for transformers or PyLate",
        "export",
        "optical-sweeps export run=multirun/demo/0123456789ab to=student format=huggingface",
    ),
    "inspect": Verb(
        "optical_sweeps.commands.inspect",
        "look inside: a pair's transport plan, alignment error, an encoder's vectors",
        "inspect",
        "optical-sweeps inspect run=multirun/demo/0123456789ab language=de row=7",
    ),
    "cache": Verb(
        "optical_sweeps.commands.cache",
        "list, verify and prune the artifact store",
        None,
        "optical-sweeps cache ls",
    ),
    "status": Verb(
        "optical_sweeps.commands.status",
        "the same as `sweep status`",
        None,
        "optical-sweeps status multirun/demo",
    ),
    "warm-up": Verb(
        "optical_sweeps.commands.warm_up",
        "compile what is compiled at first use, once an environment",
        None,
        "optical-sweeps warm-up",
    ),
}


def main() -> None:
    """Entry point of the `optical-sweeps` command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        _leave(_help())
    if arguments[0] in ("-V", "--version"):
        _leave(f"optical-sweeps {__version__}")
    try:
        _dispatch(arguments)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on with what is missing")


def _dispatch(arguments: list[str]) -> None:
    if arguments[0] in ("-sc", "--shell-completion", "--shell_completion"):
        _complete(arguments)
        return
    name, rest = arguments[0], arguments[1:]
    if name not in VERBS:
        raise UserError(f"{name}: no such verb; the verbs are {', '.join(VERBS)}")
    verb = VERBS[name]
    if verb.config is None:
        importlib.import_module(verb.module).run(rest)
    else:
        _run_hydra(verb, rest)


def _run_hydra(verb: Verb, arguments: list[str]) -> None:
    """Hand over to Hydra, whose flags and overrides then work as its users expect."""
    if verb.of_sweep and any(argument.startswith("experiment=") for argument in arguments):
        from optical_sweeps.sweeps.experiment_folder import with_sweep_of_experiment

        arguments = with_sweep_of_experiment(arguments)
    # With this set Hydra passes exceptions on in place of printing parts of their tracebacks.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from optical_sweeps.runs.spec.resolvers import register_resolvers

    register_resolvers()
    task = importlib.import_module(verb.module).run
    sys.argv = [sys.argv[0], *arguments]
    try:
        hydra.main(config_path=str(conf_folder()), config_name=verb.config, version_base="1.3")(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(" ".join(str(error).split())) from error


def _complete(arguments: list[str]) -> None:
    """Tab completion: verbs by us, what follows a verb by Hydra with that verb's config."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    name = words[1] if len(words) > 1 else ""
    if not any(argument.startswith("query=") for argument in arguments):
        _run_hydra(VERBS["train"], arguments)
    elif name == "sweep" and (len(words) > 2 or line.endswith(" ")):
        _complete_sweep(words[2:], line, arguments)
    elif name in VERBS and (len(words) > 2 or line.endswith(" ")):
        verb = VERBS[name]
        os.environ["COMP_LINE"] = line.replace(f" {name}", "", 1)
        if verb.config is not None:
            _run_hydra(verb, arguments)
    else:
        _leave(" ".join(VERBS))


def _complete_sweep(words: list[str], line: str, arguments: list[str]) -> None:
    """The verbs of `sweep`; what `train` takes where one takes a grid."""
    from optical_sweeps.commands.sweep import SWEEP_COMMANDS

    if len(words) > 1 or (words and line.endswith(" ")):
        if words[0] in ("plan", "submit"):
            os.environ["COMP_LINE"] = line.replace(f" sweep {words[0]}", "", 1)
            _run_hydra(VERBS["train"], arguments)
        return
    _leave(" ".join(SWEEP_COMMANDS))


def _help() -> str:
    width = max(map(len, VERBS))
    lines = ["Optimal-transport distillation for cross-lingual retrieval, and sweeps of it.", ""]
    lines += ["usage: optical-sweeps VERB [overrides] [Hydra's flags]", ""]
    lines += [f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items()]
    lines += ["", "examples:"]
    lines += [f"  {verb.example}" for verb in VERBS.values()]
    lines += [
        "",
        "optical-sweeps VERB --help shows a verb's usage, or its config groups and values;",
        "optical-sweeps VERB --cfg job prints the config of a verb that has one;",
        'tab completion: eval "$(optical-sweeps -sc install=bash)"',
    ]
    return "\n".join(lines)


def _leave(text: str) -> NoReturn:
    sys.stdout.write(text + "\n")
    sys.exit(0)
