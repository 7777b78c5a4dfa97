"""The page of the commands, from the parsers of the command line."""

import argparse

from optical_sweeps.cli import FOOTER
from optical_sweeps.commands.arguments import parser_of
from optical_sweeps.commands.registry import COMMANDS

GROUPS = {
    "Train": ("train", "teacher", "tune"),
    "Sweep": tuple(name for name in COMMANDS if name.startswith("sweep ")),
    "Look at one run": ("search", "evaluate", "inspect", "export"),
    "Analyse": ("curves", "claims", "figures", "report", "dashboard", "verify", "compare"),
    "Maintain": ("cache", "warm-up"),
}


def command_page() -> str:
    """The Markdown of all commands.

    Raises:
        ValueError: a command belongs to no group.
    """
    grouped = [name for names in GROUPS.values() for name in names]
    if sorted(grouped) != sorted(COMMANDS):
        raise ValueError(f"docs/_site/command_pages.py: GROUPS lacks {sorted(COMMANDS.keys() ^ {*grouped})}")
    lines = ["# Commands", "", "| command | purpose |", "| --- | --- |"]
    lines += [f"| [`{name}`](#{name.replace(' ', '-')}) | {COMMANDS[name].summary} |" for name in grouped]
    lines += ["", "```", FOOTER.strip(), "```", ""]
    for title, names in GROUPS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += _command(name)
    return "\n".join(lines) + "\n"


def _command(name: str) -> list[str]:
    command = COMMANDS[name]
    parser = parser_of(name, for_help=True)
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    lines = [
        f"### {name}",
        "",
        (parser.description or "").replace("\n", " ").strip(),
        "",
        "```",
        usage,
        "```",
        "",
    ]
    rows = [_row(action) for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    if rows:
        lines += ["| argument | meaning |", "| --- | --- |", *rows, ""]
    if command.config is not None:
        page = f"config/{command.config}.md"
        lines += [f"Its settings are those of [`conf/{command.config}.yaml`]({page}), as `key=value`.", ""]
    return [*lines, "```sh", *command.examples, "```", ""]


def _row(action: argparse.Action) -> str:
    names = [f"`{option}`" for option in action.option_strings]
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else None)
    if not names:
        names, value = [f"`{value or action.dest.upper()}`"], None
    shown = ", ".join(names) + (f" `{value}`" if value and action.nargs != 0 else "")
    meaning = (action.help or "").replace("|", "\\|")
    if action.default not in (None, False, [], argparse.SUPPRESS) and "default" not in meaning:
        meaning += f" (default: `{action.default}`)"
    return f"| {shown.replace('|', chr(92) + '|')} | {meaning} |"
