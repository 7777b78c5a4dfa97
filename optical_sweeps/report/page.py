"""The page: contents, style and scripts in one file that asks the network for nothing.

Contents travel as JSON inside a script element that no browser runs, with every `<` written as an escape, and
reach the document as text alone. The page's content security policy names its scripts by their hashes: what is
not ours does not run, were an escape forgotten one day.
"""

import base64
import hashlib
import html
import importlib.util
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from optical_sweeps.errors import UserError

SCRIPTS = ("elements", "contents", "curves", "run_table", "compare", "provenance", "page")
LIBRARY = ("bokeh.min.js", "bokeh-api.min.js")


def render(contents: Mapping[str, Any]) -> str:
    """The whole HTML file.

    Raises:
        UserError: the plotting library is not installed.
    """
    scripts = [_safe_script(text) for text in (*_library(), _own_script())]
    policy = "; ".join((
        "default-src 'none'",
        f"script-src {' '.join(map(_hash, scripts))}",
        "style-src 'unsafe-inline'",  # the plotting library writes styles
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    ))  # fmt: skip
    parts = {
        "POLICY": html.escape(policy),
        "TITLE": html.escape(str(contents["title"])),
        "STYLE": _asset("page.css"),
        "CONTENTS": data_text(contents),
        "SCRIPTS": "\n".join(f"<script>{text}</script>" for text in scripts),
    }
    page = _asset("page.html")
    pieces = [piece.partition("}}") for piece in page.split("{{")]
    # filled in one pass: what a part says is never taken for the name of another
    return pieces[0][0] + "".join(parts[name] + rest for name, _, rest in pieces[1:])


def data_text(value: Any) -> str:
    """JSON that an HTML parser reads as nothing but text.

    >>> data_text({"query": "</script>"})
    '{"query":"\\\\u003c/script>"}'
    """
    text = json.dumps(_without_nan(value), ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN and no infinity: they become text."""
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    is_number = isinstance(value, float)
    return str(value) if is_number and (value != value or value in (float("inf"), float("-inf"))) else value


def _own_script() -> str:
    body = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _library() -> list[str]:
    found = importlib.util.find_spec("bokeh")
    if found is None or not found.submodule_search_locations:
        raise UserError("report: bokeh is not installed, which draws its curves; pip install bokeh")
    folder = Path(found.submodule_search_locations[0], "server", "static", "js")
    return [(folder / name).read_text(encoding="utf-8") for name in LIBRARY]


def _safe_script(text: str) -> str:
    """A script's text, checked to end where its element ends."""
    text = text.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r", "")
    return "\n".join(line for line in text.split("\n") if not line.startswith("//# sourceMappingURL"))


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
