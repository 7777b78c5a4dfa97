"""Every text file and every pipe is UTF-8, whatever the user's locale says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("optical_sweeps", "hydra_plugins", "notebooks")
    for path in (ROOT / folder).rglob("*.py")
)
TEXT_FILES = {"read_text": 0, "write_text": 1, "TextIOWrapper": 1}
"""Calls that always read or write text, and the position of their argument `encoding`."""
OPENERS = ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile")
PROCESSES = ("run", "Popen", "check_output")


def test_the_package_names_an_encoding_wherever_it_reads_or_writes_text() -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for call in _calls(ast.parse(path.read_text(encoding="utf-8")))
        if _uses_the_locale(call)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("code", "uses_the_locale"),
    [
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.read_text(errors='replace', encoding='utf-8')", False),
        ("path.write_text(text)", True),
        ("path.open()", True),
        ("path.open('rb')", False),
        ("path.open('a')", True),
        ("open(path, 'w')", True),
        ("gzip.open(path, 'rt')", True),
        ("gzip.open(path)", False),
        ("os.fdopen(descriptor, 'w')", True),
        ("os.open(path, os.O_RDONLY)", False),
        ("io.TextIOWrapper(file)", True),
        ("tempfile.NamedTemporaryFile()", False),
        ("tempfile.NamedTemporaryFile('w')", True),
        ("subprocess.run(words, text=True)", True),
        ("subprocess.run(words, text=True, encoding='utf-8')", False),
        ("subprocess.run(words, capture_output=True)", False),
    ],
)
def test_calls_that_would_use_the_locale(code: str, uses_the_locale: bool) -> None:
    (call,) = _calls(ast.parse(code))
    assert _uses_the_locale(call) == uses_the_locale


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _uses_the_locale(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in named:
        return False
    if name in TEXT_FILES:
        return len(call.args) <= TEXT_FILES[name]
    if name in PROCESSES:
        return "text" in named or "universal_newlines" in named
    return name in OPENERS and _opens_text(call, named)


def _opens_text(call: ast.Call, named: dict[str | None, ast.expr]) -> bool:
    function = call.func
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
    if owner in ("os", "archive", "webbrowser", "Image", "zipfile.ZipFile") and "fdopen" not in ast.unparse(
        function
    ):
        return False
    library = owner in ("gzip", "bz2", "lzma", "tempfile")
    is_method = isinstance(function, ast.Attribute) and owner not in (
        "gzip",
        "bz2",
        "lzma",
        "tempfile",
        "io",
        "os",
    )
    position = 0 if is_method or owner == "tempfile" else 1
    mode = named.get("mode", call.args[position] if len(call.args) > position else None)
    if mode is None:
        return not library
    modes = [
        node.value for node in ast.walk(mode) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return any("t" in text if library and owner != "tempfile" else "b" not in text for text in modes)
