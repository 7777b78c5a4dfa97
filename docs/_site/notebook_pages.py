"""The pages of the notebooks, executed, with their outputs.

Executing takes minutes, so the executed notebooks are kept in .docs_cache/ under a hash of the notebook, the
package and its configs. OPTICAL_SWEEPS_DOCS_NOTEBOOKS=skip builds the pages without outputs.
"""

import base64
import hashlib
import os
import re
import tempfile
from pathlib import Path

import jupytext
import nbclient
import nbformat

CACHE = ".docs_cache"


def notebook_pages(root: Path) -> dict[str, tuple[str, str]]:
    """Path -> title and Markdown of each notebook. Their pictures are in `notebook_pages.images`."""
    readme = (root / "notebooks" / "README.md").read_text(encoding="utf-8")
    pages = {"notebooks/index.md": ("Overview", readme)}
    for path in sorted((root / "notebooks").glob("*.py")):
        text = _markdown(executed(path, root), path.stem)
        title = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
        pages[f"notebooks/{path.stem}.md"] = (title[1] if title else path.stem, text)
    return pages


notebook_pages.images = {}


def executed(path: Path, root: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, from the cache if neither it nor the package has changed."""
    notebook = jupytext.read(path)
    if os.environ.get("OPTICAL_SWEEPS_DOCS_NOTEBOOKS") == "skip":
        return notebook
    stored = root / CACHE / f"{path.stem}-{_fingerprint(path, root)}.ipynb"
    if stored.exists():
        return nbformat.read(stored, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        # started in an empty folder named like its own, because it may write sweeps beside it
        started_in = Path(folder) / "notebooks"
        started_in.mkdir()
        os.environ |= {
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "PYTHONWARNINGS": "ignore",
            "IPYTHONDIR": folder,
        }
        resources = {"metadata": {"path": str(started_in)}}
        nbclient.NotebookClient(notebook, timeout=1_800, resources=resources).execute()
    stored.parent.mkdir(exist_ok=True)
    for old in stored.parent.glob(f"{path.stem}-*.ipynb"):
        old.unlink()
    nbformat.write(notebook, stored)
    return notebook


def _fingerprint(path: Path, root: Path) -> str:
    digest = hashlib.sha256(path.read_bytes())
    for folder in ("optical_sweeps", "conf"):
        for source in sorted((root / folder).rglob("*")):
            if source.suffix in (".py", ".yaml"):
                digest.update(source.relative_to(root).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def _markdown(notebook: nbformat.NotebookNode, stem: str) -> str:
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        code = re.sub(r"^%.*\n?", "", cell.source, flags=re.MULTILINE).strip()
        if code:
            parts.append(f"```python\n{code}\n```")
        outputs = [_output(output, f"{stem}_{number}_{place}.png") for place, output in enumerate(cell.outputs)]
        if shown := [output for output in outputs if output]:
            content = "\n\n".join(shown)
            parts.append(f'<div class="notebook-output" markdown>\n\n{content}\n\n</div>')
    return "\n\n".join(parts) + "\n"


def _output(output: nbformat.NotebookNode, picture: str) -> str:
    """One output as Markdown: a picture, Markdown, a table, or text."""
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```" if output.name == "stdout" else ""
    data = output.get("data", {})
    if "image/png" in data:
        notebook_pages.images[f"notebooks/{picture}"] = base64.b64decode(data["image/png"])
        return f"![Output of the cell above]({picture})"
    if "text/markdown" in data:
        return data["text/markdown"]
    if "text/html" in data:
        return re.sub(r"<style scoped>.*?</style>\s*|\n\s*(?=\n)", "", data["text/html"], flags=re.DOTALL)
    return f"```text\n{data.get('text/plain', '').rstrip()}\n```"
