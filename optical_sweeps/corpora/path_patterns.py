"""Settings that are patterns with placeholders, such as `{language}/queries.{split}.tsv`."""

import string
from collections.abc import Collection

from pydantic import AfterValidator

from optical_sweeps.errors import UserError


def placeholders(*known: str) -> AfterValidator:
    """A validator of a pattern whose placeholders are all among `known`."""

    def check(pattern: str) -> str:
        if (problem := _problem(pattern, known, ())) is not None:
            raise ValueError(problem)
        return pattern

    return AfterValidator(check)


def check_pattern(key: str, pattern: object, known: Collection[str], needs: Collection[str] = ()) -> None:
    """Check a pattern whose placeholders are all among `known` and that has each of `needs`.

    Raises:
        UserError: it is no pattern, has an unknown placeholder, or lacks one.
    """
    if (problem := _problem(pattern, known, needs)) is not None:
        raise UserError(f"{key}: {problem}")


def _problem(pattern: object, known: Collection[str], needs: Collection[str]) -> str | None:
    if not isinstance(pattern, str) or not pattern:
        return f"{pattern!r} is not a path; write it as text"
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
    except ValueError as error:
        return f"{pattern!r} is not a pattern ({error}); write {{{{ or }}}} for a literal brace"
    if unknown := names.difference(known):
        allowed = " and ".join(f"{{{name}}}" for name in sorted(known)) or "none"
        return f"{pattern!r} has the unknown placeholder {{{min(unknown)}}}; known: {allowed}"
    if missing := set(needs).difference(names):
        name = min(missing)
        return f"{pattern!r} has no {{{name}}}, so every {name} would read one file; add it"
    return None
