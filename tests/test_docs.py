"""The texts of the repository: links lead somewhere, Python blocks run, and shown commands parse."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from optical_sweeps.errors import UserError

ROOT = Path(__file__).parents[1]
FILES = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
PAGES = [ROOT / name for name in FILES if name.endswith(".md")]
MENTION = re.compile(r"(?<![\w/.])docs/[a-z_/]+\.md")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site write them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        if (ROOT / "docs") in linked.parents and not linked.exists():
            assert is_generated(linked), target
            continue
        assert linked.exists(), target
        assert not anchor or linked.suffix != ".md" or anchor in anchors(linked), target


def is_generated(page: Path) -> bool:
    """Whether the build of the site writes this page (docs/hooks)."""
    return page.relative_to(ROOT / "docs").parts[0] in ("reference", "notebooks", "examples")


def test_mentioned_pages_exist() -> None:
    for name in FILES:
        if Path(name).suffix in (".py", ".yaml", ".md", ".toml", ".html") and name != "CHANGELOG.md":
            for mention in MENTION.findall((ROOT / name).read_text(encoding="utf-8")):
                assert (ROOT / mention).exists(), f"{name} mentions {mention}"


FRAGMENTS = (
    "docs/howto/curves.md",
    "docs/howto/figures.md",
    "docs/howto/retrieval.md",
    "docs/howto/robustness.md",
    "docs/tutorials/own_colbert.md",
)
"""Pages whose Python blocks show calls on data, or in another environment, that the block does not create."""

WITH_PYTHON = [
    page
    for page in PAGES
    if "```python" in page.read_text(encoding="utf-8") and str(page.relative_to(ROOT)) not in FRAGMENTS
]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_python_blocks_of_a_page_run_in_order(page: Path) -> None:
    names: dict[str, object] = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S):
        exec(compile(block, str(page), "exec"), names)


COMMAND = re.compile(r"^ *(?:\$ )?(?:[A-Z_]+=\S+ )*optical-sweeps ([^#\n|;&]*)", re.MULTILINE)


def commands_of(page: Path) -> list[str]:
    """The command lines in the code of a page, with continued lines joined."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.M | re.S) + re.findall(r"^ {4}.*", text, flags=re.M)
    joined = re.sub(r" *\\\n *", " ", "\n".join(code))
    return [command for command in COMMAND.findall(joined) if command.strip() and "..." not in command]


def test_shown_commands_parse() -> None:
    from optical_sweeps.cli import _split
    from optical_sweeps.commands.arguments import parse, parse_composed
    from optical_sweeps.commands.registry import COMMANDS

    lines = {(page, line.strip()) for page in PAGES for line in commands_of(page)}
    assert len(lines) > 80
    for page, line in sorted(lines):
        if page.name == "CHANGELOG.md" or line.startswith(("-", "COMMAND", "sweep plan|")):
            continue
        words = [word for word in shlex.split(line) if not word.startswith("tuned=")]
        try:
            name, rest = _split(words)
            (parse if COMMANDS[name].config is None else parse_composed)(name, rest)
        except UserError as error:
            pytest.fail(f"{page.relative_to(ROOT)}: optical-sweeps {line}: {error}")
