"""The words after a verb of `sweep`: a folder, flags, options, and nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from optical_sweeps.errors import UserError


@dataclass(frozen=True)
class Arguments:
    """What was given.

    Args:
        words: what is neither flag nor option.
        flags: those that were given, without dashes.
        options: the values given to each option.
    """

    verb: str
    words: tuple[str, ...]
    flags: frozenset[str]
    options: dict[str, tuple[str, ...]]

    @property
    def json(self) -> bool:
        return "json" in self.flags

    def sweep(self) -> Path:
        """The one sweep folder that was named.

        Raises:
            UserError: none, or several.
        """
        if len(self.words) != 1:
            raise UserError(
                f"{self.verb}: name one sweep folder, for example: optical-sweeps {self.verb} multirun/demo"
            )
        return Path(self.words[0])

    def one(self, option: str) -> str | None:
        """The value that was given last."""
        return self.options[option][-1] if option in self.options else None


def read(
    verb: str, arguments: Sequence[str], *, flags: Collection[str] = (), options: Collection[str] = ()
) -> Arguments:
    """Sort the arguments; `--name value` and `--name=value` are the same.

    Raises:
        UserError: an unknown flag, or an option without its value.
    """
    words: list[str] = []
    given: set[str] = set()
    values: dict[str, list[str]] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        name = name.lstrip("-")
        if not argument.startswith("-"):
            words.append(argument)
        elif name in options:
            found = value if equals else next(rest, "")
            if not found:
                raise UserError(f"{verb}: --{name} needs a value")
            values.setdefault(name, []).append(found)
        elif name in ("json", *flags) and not equals:
            given.add(name)
        else:
            known = " ".join(f"--{each}" for each in (*flags, *options, "json"))
            raise UserError(f"{verb}: {argument} is none of {known}")
    return Arguments(verb, tuple(words), frozenset(given), {key: tuple(of) for key, of in values.items()})
