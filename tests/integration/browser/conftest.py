"""The system's headless Chromium, and reports opened in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_sweeps.report import gather, render
from optical_sweeps.sweeps.grid import Grid
from tests.support.finished_sweeps import write_sweep

REQUIRED = os.environ.get("OPTICAL_SWEEPS_REQUIRE_BROWSER") == "1"
NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
HOSTILE = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
DRAWN = "html[data-drawn] #config-diff > *"


def _without(reason: str) -> None:
    (pytest.fail if REQUIRED else pytest.skip)(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        _without(f"none of {', '.join(NAMES)} is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("playwright is not installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    """The report of a sweep whose configs, failures and queries contain HTML tags."""
    folder = tmp_path_factory.mktemp("sweeps") / "small <i>"
    folder.mkdir()
    write_sweep(folder, hostile=HOSTILE)
    page = folder / "report.html"

    def texts_of(run, queries):
        return {key: (f"{HOSTILE} {key[0]} {key[1]}", f"document of {key[1]} {HOSTILE}") for key in queries}

    page.write_text(render(gather(Grid.load(folder), page, texts_of=texts_of)), encoding="utf-8")
    return page


class Opened:
    """An open page with its console messages and requests."""

    def __init__(self, browser, file: Path, **context) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on(
            "console",
            lambda message: message.type in ("error", "warning") and self.complaints.append(message.text),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector(DRAWN, timeout=60_000)
        self.page.wait_for_selector("#query-table tbody tr", timeout=60_000)


@pytest.fixture
def opened(chromium, report) -> Iterator:
    """Opens the report; afterwards checks that it logged no errors and made no network requests."""
    all_opened: list[Opened] = []

    def open_(**context):
        all_opened.append(Opened(chromium, report, **context))
        return all_opened[-1].page

    yield open_
    for each in all_opened:
        each.context.close()
        assert each.complaints == []
        assert [url for url in each.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert sum(url.startswith("file:") for url in each.requests) == 1
