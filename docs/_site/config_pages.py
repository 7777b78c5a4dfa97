"""The pages of the configuration: every group, option and key, with the comments of conf/ as their meanings."""

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import yaml

PAGE = re.compile(r"docs/([\w/]+)\.md")


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
        includes: the entries of its defaults list.
        keys: its keys, in order.
    """

    header: str
    includes: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)


def config_pages(conf: Path) -> dict[str, tuple[str, str]]:
    """Path -> title and Markdown: an overview, a page per root config, and one per group."""
    roots = sorted(path for path in conf.glob("*.yaml") if not path.stem.startswith("expected"))
    groups = sorted(
        {path.parent for path in conf.rglob("*.yaml") if "logging" not in path.parent.name} - {conf}
    )
    pages = {}
    rows = []
    for path in roots:
        config = read_config(path)
        rows.append(f"| [`{path.stem}`]({path.stem}.md) | {_linked(config.header, 2)} |")
        title = f"# conf/{path.stem}.yaml"
        pages[f"reference/config/{path.stem}.md"] = (path.stem, f"{title}\n{_config(config, 2)}")
    group_rows = []
    for group in groups:
        name = group.relative_to(conf).as_posix()
        options = sorted(group.glob("*.yaml"))
        page = name.replace("/", "_") + "_group.md"
        listed = ", ".join(f"[`{option.stem}`]({page}#{option.stem})" for option in options)
        group_rows.append(f"| [`{name}`]({page}) | {listed} |")
        text = [f"# {name}", f"Choose one with `{name}=OPTION`.", ""]
        for option in options:
            text += [f"## {option.stem}", _config(read_config(option), 2), ""]
        pages[f"reference/config/{page}"] = (name, "\n".join(text))
    overview = "\n".join(
        [
            "# Configuration",
            "`conf/` holds every setting. A command composes its root config from the groups. `key=value`",
            "changes a key, `group=OPTION` chooses a file of a group, and `optical-sweeps COMMAND --cfg job`",
            "prints the result.",
            "These pages are made from the files and their comments.",
            "", "## Root configs", "| config | content |", "| --- | --- |", *rows,
            "", "## Groups", "| group | options |", "| --- | --- |", *group_rows, "",
        ]
    )  # fmt: skip
    return {"reference/config/index.md": ("Overview", overview), **pages}


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
            config.includes = [_entry(item) for item in value.value]
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


def _entry(item: yaml.Node) -> str:
    if isinstance(item, yaml.MappingNode):
        ((key, value),) = item.value
        return f"{key.value}: {value.value}"
    return str(item.value)


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


def _config(config: Config, depth: int) -> str:
    lines = [_linked(config.header, depth), ""]
    if config.includes:
        lines += ["Includes " + ", ".join(f"`{entry}`" for entry in config.includes) + ".", ""]
    keys = [
        key
        for key in config.keys
        if (key.value or key.meaning) and not key.name.startswith("hydra.") and key.name != "hydra"
    ]
    if keys:
        lines += ["| key | value | meaning |", "| --- | --- | --- |"]
        for key in keys:
            value = f"`{_cell(key.value)}`" if key.value else ""
            lines.append(f"| `{key.name}` | {value} | {_linked(_cell(key.meaning), depth)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _linked(text: str, depth: int) -> str:
    """A comment as Markdown: names of pages become links, and special characters are escaped."""
    text = text.replace("<", "\\<") if "`" in text else re.sub(r"([<>*])", r"\\\1", text)
    up = "../" * depth
    return PAGE.sub(lambda match: f"[{match[1]}.md]({up}{match[1]}.md)", text)
