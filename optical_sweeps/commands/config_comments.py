"""Config files with their comments: every key, its value as written, and its meaning."""

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import yaml


@dataclass
class Key:
    """One key of a config file.

    Args:
        name: the key and its parents, separated by points.
        value: the value as written, or "" for a section.
        meaning: the comments of the key.
    """

    name: str
    value: str
    meaning: str = ""


@dataclass
class Config:
    """One file of conf/.

    Args:
        header: the comment at its top.
        includes: the entries of its defaults list, named by their group; another root config has no value.
        keys: its keys, in order.
    """

    header: str
    includes: list[Key] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)


def read_config(path: Path) -> Config:
    """Read the keys of a config file and the comments beside and above them."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    header = _leading_comment(lines)
    config = Config(header=" ".join(header))
    root = yaml.compose(text)
    if isinstance(root, yaml.MappingNode):
        _add_keys(config, root, lines, "", seen=len(header))
    return config


def _leading_comment(lines: list[str]) -> list[str]:
    header = []
    for line in lines:
        if not line.startswith("#") or line.startswith("# @package"):
            if line.startswith("# @package"):
                header.append("")
                continue
            break
        header.append(line.removeprefix("#").strip())
    return header


def _add_keys(config: Config, node: yaml.MappingNode, lines: list[str], parent: str, seen: int) -> None:
    for key, value in node.value:
        name = f"{parent}{key.value}"
        if name == "defaults":
            config.includes = [_entry(item, lines) for item in value.value]
            continue
        section = isinstance(value, yaml.MappingNode) and not value.flow_style and value.value
        first = key.start_mark.line
        last = first if section or not value.value else _last_line(value)
        text = "" if section else _source(value, lines)
        start = key.end_mark if section else value.end_mark
        above = _comments_above(lines, max(first, 0), seen)
        beside = _comment_beside(lines, first, last, start.column)
        config.keys.append(Key(name, text, " ".join(part for part in (above, beside) if part)))
        if section:
            _add_keys(config, value, lines, f"{name}.", seen)


def _entry(item: yaml.Node, lines: list[str]) -> Key:
    name, value, end = str(item.value), "", item.end_mark
    if isinstance(item, yaml.MappingNode):
        ((group, option),) = item.value
        name, value, end = group.value, option.value, option.end_mark
    return Key(name, value, _comment_beside(lines, end.line, end.line, end.column))


def _last_line(value: yaml.Node) -> int:
    end = value.end_mark
    return end.line if end.column or isinstance(value, yaml.ScalarNode) else end.line - 1


def _source(value: yaml.Node, lines: list[str]) -> str:
    first, last = value.start_mark, value.end_mark
    if first.line == last.line:
        return lines[first.line][first.column : last.column].strip()
    if isinstance(value, yaml.CollectionNode) and value.flow_style:
        parts = [
            lines[first.line][first.column :],
            *lines[first.line + 1 : last.line],
            lines[last.line][: last.column],
        ]
        return " ".join(part.split(" #")[0].strip() for part in parts)
    if isinstance(value, yaml.CollectionNode):
        block = yaml.safe_load(textwrap.dedent("\n".join(lines[first.line : last.line])))
        return yaml.safe_dump(block, default_flow_style=True, width=10_000, allow_unicode=True).strip()
    return str(value.value)


def _comments_above(lines: list[str], first: int, seen: int) -> str:
    """Whole-line comments directly above a key, at the indentation of the key."""
    indent = len(lines[first]) - len(lines[first].lstrip())
    above: list[str] = []
    number = first - 1
    while number >= seen and re.match(rf"^ {{{indent}}}#", lines[number]):
        above.insert(0, lines[number].strip().removeprefix("#").strip())
        number -= 1
    return " ".join(above)


def _comment_beside(lines: list[str], first: int, last: int, column: int) -> str:
    """The comment after a value, and its continuation on deeper comment lines below."""
    parts = []
    for number in dict.fromkeys((first, last)):
        rest = lines[number][column:] if number == last or first == last else lines[number]
        if match := re.search(r"(?:^|\s)#\s*(.*)$", rest):
            parts.append(match[1].strip())
    indent = len(lines[first]) - len(lines[first].lstrip())
    number = last + 1
    while parts and number < len(lines) and re.match(rf"^ {{{indent + 4},}}#", lines[number]):
        parts.append(lines[number].strip().removeprefix("#").strip())
        number += 1
    return " ".join(parts)
