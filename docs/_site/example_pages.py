"""The pages of the examples: the README of each folder, and its files."""

from pathlib import Path

LANGUAGES = {".py": "python", ".yaml": "yaml", ".sh": "sh", ".csv": "text", ".tsv": "text", ".txt": "text"}
LONGEST = 2_500
"""Characters of a data file that are shown."""


def example_pages(root: Path) -> dict[str, tuple[str, str]]:
    """Path -> title and Markdown of each example."""
    pages = {"examples/index.md": ("Overview", (root / "examples" / "README.md").read_text(encoding="utf-8"))}
    for readme in sorted((root / "examples").glob("*/README.md")):
        text = readme.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix("# ")
        pages[f"examples/{readme.parent.name}.md"] = (title, f"{text}\n## Files\n{_files(readme.parent)}")
    return pages


def _files(folder: Path) -> str:
    shown = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix in LANGUAGES:
            text = path.read_text(encoding="utf-8")
            if len(text) > LONGEST and path.suffix not in (".py", ".yaml", ".sh"):
                text = text[:LONGEST].rpartition("\n")[0] + "\n..."
            code = f"```{LANGUAGES[path.suffix]}\n{text.rstrip()}\n```"
            shown.append(f"### {path.relative_to(folder)}\n{code}\n")
    return "\n".join(shown)
