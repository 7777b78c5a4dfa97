"""The pages of the configuration: every group, option and key, with the comments of conf/ as their meanings."""

import re
from pathlib import Path

from optical_sweeps.commands.config_comments import Config, Key, read_config

PAGE = re.compile(r"docs/([\w/]+)\.md")


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


def _config(config: Config, depth: int) -> str:
    lines = [_linked(config.header, depth), ""]
    if config.includes:
        lines += ["Includes " + ", ".join(f"`{_entry(entry)}`" for entry in config.includes) + ".", ""]
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


def _entry(entry: Key) -> str:
    return f"{entry.name}: {entry.value}" if entry.value else entry.name


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _linked(text: str, depth: int) -> str:
    """A comment as Markdown: names of pages become links, and special characters are escaped."""
    text = text.replace("<", "\\<") if "`" in text else re.sub(r"([<>*])", r"\\\1", text)
    up = "../" * depth
    return PAGE.sub(lambda match: f"[{match[1]}.md]({up}{match[1]}.md)", text)
