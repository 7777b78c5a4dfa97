"""The documentation site: built strictly, then opened on a desktop and a phone, in light and dark colours.

OPTICAL_SWEEPS_SCREENSHOTS=FOLDER keeps a picture of every page that is opened.
"""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCREENS = {
    f"{name}-{scheme}": {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    for name, width, height in (("desktop", 1280, 900), ("phone", 390, 844))
    for scheme in ("light", "dark")
}
OPENED = (
    "index", "start/demo", "tutorials/own_data", "concepts/science", "concepts/run", "howto/data",
    "reference/commands", "reference/config/training_group", "reference/api/curves", "notebooks/scaling_fits",
    "examples/other_scores", "contribute/architecture", "results", "benchmarks",
)  # fmt: skip


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The address of the site, which is built without executing notebooks."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "OPTICAL_SWEEPS_DOCS_NOTEBOOKS": "skip", "NO_MKDOCS_2_WARNING": "1"}
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("screen", SCREENS)
def test_pages_are_complete_and_ask_no_other_host(address, chromium, screen):
    context = chromium.new_context(**SCREENS[screen])
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "requestfailed",  # opening the next page aborts what a page still loads
        lambda r: None if r.failure == "net::ERR_ABORTED" else complaints.append(f"failed: {r.url}"),
    )
    page.on(
        "request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else complaints.append(r.url)
    )
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for name in OPENED:
        page.goto(f"{address}/{name}.html", wait_until="load")
        if page.locator("pre.mermaid").count():
            page.wait_for_selector("div.mermaid", state="attached")
            page.wait_for_function("!document.querySelector('pre.mermaid')")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= SCREENS[screen]["viewport"]["width"], f"{name} is {width} pixels wide"
        assert page.locator("h1").count() == 1, name
        if folder := os.environ.get("OPTICAL_SWEEPS_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name.replace('/', '_')}-{screen}.png")
    assert complaints == []
    context.close()


def test_equations_are_typeset_and_the_search_finds_a_key(address, chromium):
    page = chromium.new_page()
    page.goto(f"{address}/concepts/science.html")
    assert page.locator("math[display=block]").count() >= 8
    assert "$$" not in page.locator("article").inner_text()
    page.goto(f"{address}/index.html")
    page.locator("input.md-search__input").fill("english_weight")
    page.wait_for_selector(".md-search-result__link")
    page.close()
