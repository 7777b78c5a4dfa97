"""Hooks of MkDocs: add the generated pages, and render links, equations and diagrams without another host."""

import html
import importlib.util
import os
import posixpath
import re
from pathlib import Path

import latex2mathml.converter
from api_pages import api_pages
from command_pages import command_page
from config_pages import config_pages
from example_pages import example_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook_pages import notebook_pages

ROOT = Path(__file__).parents[2]
GITHUB_PAGES = {
    "CONTRIBUTING.md": "contribute/contributing.md",
    "CHANGELOG.md": "contribute/changelog.md",
    "README.md": "index.md",
}
"""Files at the top of the repository, and the pages of the site with their content."""
ARITHMATEX = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
LINK_OR_CODE = re.compile(
    r"^ {0,3}```.*?^ {0,3}```|(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<target>[^)\s]+)\)|`[^`\n]+`",
    re.MULTILINE | re.DOTALL,
)
MERMAID_SCRIPT = "assets/mermaid.js"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write the pages that are derived from code, and put them into the navigation."""
    global _pages, _folders
    sections = {
        "NOTEBOOKS": notebook_pages(ROOT),
        "EXAMPLES": example_pages(ROOT),
        "CONFIGURATION": config_pages(ROOT / "conf"),
        "API": api_pages(),
    }
    _pages = {path: text for pages in sections.values() for path, (_, text) in pages.items()}
    _pages["reference/commands.md"] = command_page()
    for source in ("CONTRIBUTING.md", "CHANGELOG.md"):
        _pages[GITHUB_PAGES[source]] = (ROOT / source).read_text(encoding="utf-8")
    assert config.nav is not None
    config.nav = _filled(config.nav, {name: list(pages.items()) for name, pages in sections.items()})
    return config


def _filled(nav: list, sections: dict[str, list]) -> list:
    """The navigation in which a section's name is replaced by its pages."""
    filled = []
    for entry in nav:
        if isinstance(entry, dict):
            ((title, target),) = entry.items()
            if isinstance(target, list):
                target = _filled(target, sections)
            elif target in sections:
                target = [{page_title: path} for path, (page_title, _) in sections[target]]
            filled.append({title: target})
        else:
            filled.append(entry)
    return filled


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the script that draws diagrams."""
    for path, text in _pages.items():
        files.append(File.generated(config, path, content=text))
    (mermaid,) = importlib.util.find_spec("mermaidx").submodule_search_locations
    files.append(File.generated(config, MERMAID_SCRIPT, abs_src_path=f"{mermaid}/assets/mermaid.js"))
    for name, content in notebook_pages.images.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files outside docs/ lead to their page or become plain text, and file names become titles."""
    here = posixpath.dirname(page.file.src_uri)
    source = _source_folder(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        text, target = match["text"], match["target"]
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            return match[0]
        linked = posixpath.normpath(posixpath.join(source, path))
        if not linked.startswith("docs/"):
            linked = _page_of(linked)
            if linked is None:
                return f"`{text.strip('`')}`"
        else:
            linked = linked.removeprefix("docs/")
        if re.fullmatch(r"`?[\w/]+\.md`?", text) and (file := files.get_file_from_path(linked)):
            text = _title(file)
        relative = posixpath.relpath(linked, here or ".")
        return f"[{text}]({relative}{'#' + anchor if anchor else ''})"

    return LINK_OR_CODE.sub(lambda match: match[0] if match["text"] is None else rewritten(match), markdown)


def _page_of(path: str) -> str | None:
    """The page of the site that has the content of a file of the repository."""
    if path in GITHUB_PAGES:
        return GITHUB_PAGES[path]
    for folder in ("examples", "notebooks"):
        if path.startswith(f"{folder}/"):
            name = Path(path).parent.name if Path(path).stem == "README" else Path(path).stem
            page = f"{folder}/{'index' if name == folder else name}.md"
            return page if page in _pages else None
    return None


def _source_folder(page: str) -> str:
    """The folder of the file that a page is made from, to which its links are relative."""
    folder, _, name = page.rpartition("/")
    if page in GITHUB_PAGES.values() and page != "index.md":
        return ""
    if folder == "examples" and name != "index.md":
        return f"examples/{name.removesuffix('.md')}"
    return folder if folder in ("examples", "notebooks") else posixpath.join("docs", folder)


def _title(file: File) -> str:
    match = re.search(r"^# (.+)$", file.content_string, flags=re.MULTILINE)
    return match[1] if match else file.name


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Equations become MathML, and a page with diagrams loads the script that draws them."""
    content = ARITHMATEX.sub(_mathml, content)
    if 'class="mermaid"' in content:
        script = os.path.relpath(MERMAID_SCRIPT, posixpath.dirname(page.file.dest_uri) or ".")
        content += f'\n<script src="{script}"></script>'
    return content


def _mathml(match: re.Match[str]) -> str:
    display = "block" if match[2] == "[" else "inline"
    return latex2mathml.converter.convert(html.unescape(match[3]).strip(), display=display)
