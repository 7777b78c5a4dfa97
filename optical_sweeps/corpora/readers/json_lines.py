"""JSON Lines: one object on each line, with fields addressed by dotted names."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from optical_sweeps.corpora.readers.lines import Fault, lines_or_faults, usable
from optical_sweeps.corpora.readers.opening import COMPRESSED_SUFFIXES
from optical_sweeps.errors import UserError
from optical_sweeps.limits import parse_json

JsonObject = Mapping[str, object]


def read_objects(path: Path) -> Iterator[tuple[int, JsonObject]]:
    """(line number, object) of every line.

    Raises:
        UserError: a line is no JSON object, or the file cannot be read.
    """
    return ((number, usable(value)) for number, value in objects_or_faults(path))


def objects_or_faults(path: Path) -> Iterator[tuple[int, JsonObject | Fault]]:
    """Like `read_objects`, but yields a fault for a bad line."""
    for number, line in lines_or_faults(path):
        yield number, parsed(path, number, line)


def text_field(path: Path, number: int, value: JsonObject, name: str) -> str | Fault:
    """The stripped text of a dotted field such as `translation.en`; a whole number counts as text."""
    field: object = value
    for part in name.split("."):
        if not isinstance(field, Mapping) or part not in field:
            return Fault("fields", f"{path}:{number}: no field {name!r}; add it or name another one")
        field = field[part]
    if isinstance(field, int) and not isinstance(field, bool):
        return str(field)
    if not isinstance(field, str):
        return Fault("fields", f"{path}:{number}: the field {name!r} is not text; write it as a string")
    try:
        field.encode()
    except UnicodeEncodeError:  # JSON can spell half of a surrogate pair
        return Fault("not_utf8", f"{path}:{number}: the field {name!r} has half a surrogate pair; correct it")
    return field.strip()


def first_field(path: Path, number: int, value: JsonObject, names: Sequence[str]) -> str:
    """The text of the first of `names` that the object has.

    Raises:
        UserError: it has none of them, or the field is not text.
    """
    name = next((name for name in names if name in value), names[0])
    text = text_field(path, number, value, name)
    if isinstance(text, Fault):
        others = f" (or {', '.join(names[1:])})" if name not in value and len(names) > 1 else ""
        raise UserError(text.message + others)
    return text


def is_json_lines(path: Path) -> bool:
    """Whether a file's name, without a suffix of compression, ends as JSON Lines do."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSED_SUFFIXES]
    return bool(suffixes) and suffixes[-1] in (".jsonl", ".ndjson", ".jl")


def parsed(path: Path, number: int, line: str | Fault) -> JsonObject | Fault:
    """The object of a line, or a fault."""
    if isinstance(line, Fault):
        return line
    try:
        value = parse_json(line)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        return Fault("json", f"{path}:{number}: not JSON ({reason}); write one object on each line")
    if not isinstance(value, dict):
        return Fault("json", f"{path}:{number}: a JSON {type(value).__name__}, not an object; write {{...}}")
    return value
