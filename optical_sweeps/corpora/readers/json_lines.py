"""JSON Lines: one object a line, its fields by dotted names."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optical_sweeps.corpora.readers.lines import Fault, lines_or_faults
from optical_sweeps.corpora.readers.opening import PACKINGS
from optical_sweeps.errors import UserError


def read_objects(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(line number, object) of every line.

    Raises:
        UserError: a line is no JSON object, or the file cannot be read.
    """
    for number, value in objects_or_faults(path):
        if isinstance(value, Fault):
            raise UserError(value.message)
        yield number, value


def objects_or_faults(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | Fault]]:
    """As `read_objects`, but a bad line comes as a fault."""
    for number, line in lines_or_faults(path):
        yield number, line if isinstance(line, Fault) else _parsed(path, number, line)


def text_field(path: Path, number: int, value: Mapping[str, Any], name: str) -> str | Fault:
    """The text under a dotted name such as `translation.en`, stripped; a whole number counts as text."""
    found: Any = value
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return Fault("fields", f"{path}:{number}: no field {name!r}; add it or name another one")
        found = found[part]
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str):
        return Fault("fields", f"{path}:{number}: the field {name!r} is no text; write it as a string")
    try:
        found.encode()
    except UnicodeEncodeError:  # JSON may spell half of a surrogate pair
        return Fault("not_utf8", f"{path}:{number}: the field {name!r} has half a surrogate pair; mend it")
    return found.strip()


def first_field(path: Path, number: int, value: Mapping[str, Any], names: Sequence[str]) -> str:
    """The text under the first of `names` that the object has.

    Raises:
        UserError: it has none of them, or no text there.
    """
    name = next((name for name in names if name in value), names[0])
    text = text_field(path, number, value, name)
    if isinstance(text, Fault):
        others = f" (or {', '.join(names[1:])})" if name not in value and len(names) > 1 else ""
        raise UserError(text.message + others)
    return text


def is_json_lines(path: Path) -> bool:
    """Whether a file's name says so, packed or not."""
    endings = [ending for ending in path.suffixes if ending not in PACKINGS]
    return bool(endings) and endings[-1] in (".jsonl", ".ndjson", ".jl")


def _parsed(path: Path, number: int, line: str) -> Mapping[str, Any] | Fault:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        return Fault("json", f"{path}:{number}: no JSON ({reason}); write one object a line")
    if not isinstance(value, dict):
        return Fault("json", f"{path}:{number}: no JSON object but {type(value).__name__}; write {{...}}")
    return value
