"""Every link between the texts of the repository leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "site", "node_modules"} & {*path.relative_to(ROOT).parts}
)
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
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.split():
        if Path(name).suffix in (".py", ".yaml", ".md", ".toml", ".html") and name != "CHANGELOG.md":
            for mention in MENTION.findall((ROOT / name).read_text(encoding="utf-8")):
                assert (ROOT / mention).exists(), f"{name} mentions {mention}"
