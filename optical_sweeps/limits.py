"""Limits of what readers of files accept, so that a small hostile file cannot exhaust the memory or the disk.

The defaults are far above any real file. Environment variables change them, for every command and Slurm task:
`OPTICAL_SWEEPS_MAX_LINE_BYTES`, `OPTICAL_SWEEPS_MAX_UNPACKED_BYTES`, `OPTICAL_SWEEPS_MAX_NESTING`,
`OPTICAL_SWEEPS_MAX_JSON_BYTES`, `OPTICAL_SWEEPS_MAX_TABLE_ROWS`.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from optical_sweeps.errors import UserError

PREFIX = "OPTICAL_SWEEPS_MAX_"
PIECE = 2**18
DEFAULTS = {
    "LINE_BYTES": 16 * 2**20,
    "UNPACKED_BYTES": 2**40,
    "NESTING": 200,
    "JSON_BYTES": 2**30,
    "TABLE_ROWS": 2**25,
}
"""Bytes of a line, of a file once unpacked, and of a JSON file; levels of lists and objects in JSON; rows of a
parquet file."""


@runtime_checkable
class BinaryReader(Protocol):
    """What a file opened for reading bytes and a decompressor have in common."""

    def read(self, size: int = ..., /) -> bytes: ...


def limit(name: str) -> int:
    """The value of a limit.

    Raises:
        UserError: the environment variable is not a whole number of at least 1.

    >>> limit("NESTING")
    200
    """
    text = os.environ.get(PREFIX + name)
    if text is None:
        return DEFAULTS[name]
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UserError(f"{PREFIX}{name}: {text!r} is not a whole number of at least 1; change it")
    return int(text)


def remedy(name: str) -> str:
    """How to raise a limit, for messages."""
    return f"if the file is what it should be, raise {PREFIX}{name}={limit(name)}"


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON, not UTF-8, or lists and objects are nested deeper than the limit `NESTING`.
    """
    try:
        value: object = json.loads(text)
    except RecursionError:
        raise ValueError(f"lists and objects are nested too deep; {remedy('NESTING')}") from None
    deepest = limit("NESTING")
    level, depth = [value], 0
    while level:
        level = [child for node in level for child in _children(node)]
        depth += bool(level)
        if depth > deepest:
            raise ValueError(f"lists and objects are nested deeper than {deepest}; {remedy('NESTING')}")
    return value


def parse_yaml(text: str) -> Any:
    """The value of a YAML text of plain values.

    Raises:
        ValueError: not YAML, nested too deep, or with aliases: a short text with them can stand for terabytes.
    """
    import yaml

    deepest = limit("NESTING")
    depth = 0
    for bracket in re.findall(r"[\[{\]}]", text):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > deepest:  # before it is read: PyYAML takes quadratic time
            raise ValueError(f"lists and objects are nested deeper than {deepest}; {remedy('NESTING')}")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ValueError("YAML with aliases (*name) is not read; repeat the values")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("lists and objects are nested too deep") from None


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: as `parse_json`, or the file is larger than the limit `JSON_BYTES`.
    """
    most = limit("JSON_BYTES")
    with path.open("rb") as file:
        content = read_at_most(file, most + 1)
    if len(content) > most:
        raise ValueError(f"larger than {most} bytes; {remedy('JSON_BYTES')}")
    return parse_json(content.decode("utf-8"))


def read_at_most(file: BinaryReader, size: int) -> bytes:
    """At most `size` bytes of a file. It is read in pieces, because `read(n)` allocates n bytes at once."""
    pieces = []
    while size and (piece := file.read(min(size, PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _children(node: object) -> list[object]:
    """The lists and objects directly inside a list or object."""
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, dict | list)]
