"""The report page: contents, style and scripts in one HTML file that makes no network requests.

The contents are JSON in a script element that browsers do not execute, with every `<` escaped, and are only
inserted as text. The content security policy lists the scripts of the page by their hashes, so injected scripts
do not run even if an escape is forgotten.
"""

import base64
import hashlib
import html
import importlib.util
import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from optical_sweeps.errors import UserError

SCRIPTS = ("elements", "contents", "curves", "run_table", "compare", "tuning", "provenance", "page")
LIBRARY = ("bokeh.min.js", "bokeh-api.min.js")


def render(contents: Mapping[str, object]) -> str:
    """The whole HTML file.

    Raises:
        UserError: the plotting library is not installed.
    """
    scripts = [_safe_script(text) for text in (*_library(), _own_script())]
    policy = "; ".join((
        "default-src 'none'",
        f"script-src {' '.join(map(_hash, scripts))}",
        "style-src 'unsafe-inline'",  # the plotting library sets styles
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
    # filled in one pass, so that the text of a part is never taken for a placeholder
    return pieces[0][0] + "".join(parts[name] + rest for name, _, rest in pieces[1:])


def data_text(value: object) -> str:
    """JSON that an HTML parser reads only as text.

    >>> data_text({"query": "</script>"})
    '{"query":"\\\\u003c/script>"}'
    """
    text = json.dumps(_without_nan(value), ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _without_nan(value: object) -> object:
    """Replace NaN and infinity, which JSON does not have, by text."""
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _own_script() -> str:
    body = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _library() -> list[str]:
    bokeh = importlib.util.find_spec("bokeh")
    if bokeh is None or not bokeh.submodule_search_locations:
        raise UserError("report: bokeh, which draws the curves, is not installed; pip install bokeh")
    folder = Path(bokeh.submodule_search_locations[0], "server", "static", "js")
    return [(folder / name).read_text(encoding="utf-8") for name in LIBRARY]


def _safe_script(text: str) -> str:
    """The text of a script without sequences that would end its element."""
    text = text.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r", "")
    return "\n".join(line for line in text.split("\n") if not line.startswith("//# sourceMappingURL"))


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
