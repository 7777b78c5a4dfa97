"""Escape sequences, links in shared folders, secrets, formulas, and files that are larger than they look."""

import gzip
import io
import json
import os
import resource
import stat
import subprocess
import sys
import zipfile

import pytest

from optical_sweeps import console, limits
from optical_sweeps.artifacts import MANIFEST, ArtifactStore
from optical_sweeps.atomic_files import replacing
from optical_sweeps.console import echo, terminal
from optical_sweeps.corpora.readers.json_lines import read_objects
from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.curves.tables.result_tables import write_table
from optical_sweeps.encoders.colbert_formats.pylate_format import _modules
from optical_sweeps.errors import UserError
from optical_sweeps.redaction import redacted
from optical_sweeps.runs.failure import failure
from optical_sweeps.runs.run_folder import RunFolder, write_json, write_text
from optical_sweeps.spreadsheets import without_formula
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.terminal_text import plain_text

ATTACKS = {
    "clear the screen": "\x1b[2J",
    "set the title": "\x1b]0;owned\x07",
    "set the clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "one-byte CSI": "\x9b2J",
    "overwrite the line": "good\rbad",
    "backspaces": "good\b\b\b\bbad",
    "reversed order": "\u202etxt.exe",
    "line separator": "a\u2028b",
    "half a pair": "\ud800",
    "NUL": "\0",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_no_control_character_reaches_the_terminal(text, capsys):
    from rich.table import Table
    from rich.text import Text

    echo(text)
    table = Table("name")
    table.add_row(text)
    table.add_row(Text(text))
    terminal().print(table)
    terminal().print(Text(text), soft_wrap=True)
    printed = capsys.readouterr().out
    assert all(letter == "\n" or letter.isprintable() or letter == "\t" for letter in printed)


def test_texts_of_tables_are_no_mark_up(capsys):
    from rich.table import Table

    table = Table("name")
    table.add_row("[link=http://evil]de[/link] :smile:")
    terminal(80).print(table)
    assert "[link=http://evil]de[/link] :smile:" in capsys.readouterr().out


def test_json_stays_json_and_plain_texts_stay():
    assert json.loads(plain_text(json.dumps("a\x9bb\u202e", ensure_ascii=False))) == "a\x9bb\u202e"
    for text in ("Grüße\tвсем\n日本語 العربية 🙂‍↔️", "a\u200fb"):
        assert plain_text(text) == text
    assert console.plain_text is plain_text


def test_a_label_of_a_grid_is_one_line(tmp_path):
    point = {"overrides": [], "run": "a", "label": "one\nerror: two\r", "note": None}
    content = {"schema": 3, "config": "train", "config_dir": None, "points": [point]}
    (tmp_path / "grid.json").write_text(json.dumps(content))
    assert Grid.load(tmp_path).labels() == {"a": "one error: two"}


def test_writing_follows_no_link(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    for name in (f".record.json.{os.getpid()}.tmp", "record.json"):
        (tmp_path / name).symlink_to(target)
    write_json(tmp_path / "record.json", {"a": 1})
    assert target.read_text() == "mine"
    assert not (tmp_path / "record.json").is_symlink()


def test_a_temporary_file_that_exists_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda count: "00")
    target = tmp_path / "target"
    (tmp_path / ".a.00.tmp").symlink_to(target)
    with pytest.raises(FileExistsError), replacing(tmp_path / "a"):
        pass
    assert not target.exists()


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a", "\ud800")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_mode_is_kept(tmp_path):
    write_text(tmp_path / "a", "x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


@pytest.mark.parametrize("nested", ["[" * 200_000 + "]" * 200_000, '{"a":' * 300 + "1" + "}" * 300])
def test_deep_json_is_one_line(nested, tmp_path):
    with pytest.raises(ValueError, match="nested"):
        limits.parse_json(nested)
    (tmp_path / "record.json").write_text(nested)
    (tmp_path / "grid.json").write_text(nested)
    (tmp_path / "a.jsonl").write_text(nested)
    with pytest.raises(UserError, match="nested"):
        RunFolder(tmp_path).record()
    with pytest.raises(UserError, match="nested"):
        Grid.load(tmp_path)
    with pytest.raises(UserError, match="nested"):
        list(read_objects(tmp_path / "a.jsonl"))
    assert RunFolder(tmp_path).owner() == {}


def test_large_json_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_JSON_BYTES", "1000")
    (tmp_path / "grid.json").write_text(json.dumps(["x" * 1000]))
    with pytest.raises(UserError, match=r"larger than 1000 bytes; .*OPTICAL_SWEEPS_MAX_JSON_BYTES"):
        Grid.load(tmp_path)


@pytest.mark.parametrize("value", ["0", "-1", "x", "1e9", "", "²"])
def test_a_limit_is_a_positive_number(value, monkeypatch):
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_NESTING", value)
    with pytest.raises(UserError, match="OPTICAL_SWEEPS_MAX_NESTING"):
        limits.limit("NESTING")


def test_a_long_line_takes_no_memory(tmp_path):
    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"first\n")
        for _ in range(100):
            file.write(b"a" * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"a\.txt\.gz:2: longer than 16777216 bytes; .*MAX_LINE_BYTES"):
        list(read_lines(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80_000  # kB; the file has 100 MB


def test_a_line_at_the_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_LINE_BYTES", "4")
    (tmp_path / "a").write_bytes(b"abc\nabcd")
    assert [line for _, line in read_lines(tmp_path / "a")] == ["abc", "abcd"]
    (tmp_path / "a").write_bytes(b"abcd\n")
    with pytest.raises(UserError, match=":1: longer than 4 bytes"):
        list(read_lines(tmp_path / "a"))


def test_unpacked_bytes_are_limited(tmp_path, monkeypatch):
    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_UNPACKED_BYTES", "1000")
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"line\n" * 200))
    assert len(list(read_lines(path))) == 200
    path.write_bytes(gzip.compress(b"line\n" * 201))
    with pytest.raises(UserError, match=r"a\.gz.*more than 1000 bytes once unpacked; .*MAX_UNPACKED_BYTES"):
        list(read_lines(path))


def _entry(root):
    return ArtifactStore(root).get_or_build("thing", {"a": 1}, lambda folder: _fill(folder))


def _fill(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_bytes(b"1234")


def _grown(folder, elsewhere):
    (folder / "sub" / "file").write_bytes(b"12345")


def _linked(folder, elsewhere):
    elsewhere.write_bytes(b"evil")
    (folder / "sub" / "file").unlink()
    (folder / "sub" / "file").symlink_to(elsewhere)


def _linked_folder(folder, elsewhere):
    (folder / "sub").rename(elsewhere)
    (folder / "sub").symlink_to(elsewhere)


def _pipe(folder, elsewhere):
    (folder / "sub" / "file").unlink()
    os.mkfifo(folder / "sub" / "file")


def _outside(folder, elsewhere):
    elsewhere.write_bytes(b"1234")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../../../elsewhere"] = manifest["files"]["sub/file"]
    (folder / MANIFEST).write_text(json.dumps(manifest))


def _deep(folder, elsewhere):
    (folder / MANIFEST).write_text("[" * 100_000)


@pytest.mark.parametrize("attack", [_grown, _linked, _linked_folder, _pipe, _outside, _deep])
def test_a_changed_entry_of_the_store_is_built_again(attack, tmp_path):
    folder, lines = _entry(tmp_path / "store"), []
    attack(folder, tmp_path / "elsewhere")
    again = ArtifactStore(tmp_path / "store", lines.append).get_or_build("thing", {"a": 1}, _fill)
    assert len(lines) == 1
    assert again == folder
    assert (folder / "sub" / "file").read_bytes() == b"1234"
    assert not (folder / "sub" / "file").is_symlink()


@pytest.mark.parametrize("place", ["../outside", "/etc", "link"])
def test_modules_of_a_checkpoint_lie_inside_it(place, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (tmp_path / "outside").mkdir()
    (checkpoint / "link").symlink_to(tmp_path / "outside")
    modules = [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "pylate.models.Dense.Dense", "path": place},
    ]
    (checkpoint / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(UserError, match=r"modules\.json: the module .* lies outside"):
        _modules(checkpoint)


@pytest.mark.parametrize("content", [{}, [1], [{"type": "a"}], [{"type": 1, "path": ""}], "x", None])
def test_broken_modules_are_one_line(content, tmp_path):
    (tmp_path / "modules.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"modules\.json"):
        _modules(tmp_path)


FORMULAS = ["=HYPERLINK(1)", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", " =1", "\r=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_csv_files_have_no_formulas(text, tmp_path):
    import pandas

    _, csv = write_table(pandas.DataFrame({"label": [text, "de"], "value": [-0.5, 1.0]}), tmp_path / "t")
    table = pandas.read_csv(csv, keep_default_na=False)
    assert str(table["label"].iloc[0]).startswith("'")
    assert list(table["value"]) == [-0.5, 1.0]
    assert without_formula(text) == "'" + text.replace("\r", " ")


KEYS = {
    "W&B": "0123456789abcdef0123456789abcdef01234567",
    "W&B, new": "wandb_v1_" + "aB3" * 12,
    "Hugging Face": "hf_" + "aB3" * 10,
    "an address": "https://me:password@host/x",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_keys_reach_no_failure_file(key):
    secret = key.removeprefix("https://").partition("@")[0]
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError(f"401 for {key}")
    assert secret not in json.dumps(failure(raised.value))


def test_values_of_secret_variables_are_hidden(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "correct horse")
    monkeypatch.setenv("MY_PATH", "battery staple")
    assert redacted("correct horse battery staple") == "[hidden] battery staple"


def test_an_error_on_standard_error_is_plain(monkeypatch):
    from optical_sweeps import cli

    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("sys.argv", ["optical-sweeps", "\x1b[2Jnope"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "\x1b" not in stream.getvalue()
    assert "\\u001b[2Jnope" in stream.getvalue()


def test_an_archive_of_an_unknown_version_is_one_line(tmp_path):
    """Found by fuzzing: zipfile raises NotImplementedError for a version that it does not know."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "text")
    content = bytearray(file.getvalue())
    content[content.index(b"PK\x01\x02") + 6] = 92
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip:1: damaged zip \(zip file version 9\.2\)"):
        list(read_lines(tmp_path / "a.zip"))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", [*ATTACKS.values(), "[/red] [link=http://evil]x[/link]"])
def test_progress_bars_have_plain_descriptions(text, monkeypatch):
    stream = _Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", stream)
    with console.progress(f"before {text} after") as advance:
        advance(1, 2)
    shown = stream.getvalue()
    assert "before" in shown
    assert text not in shown or text.startswith("[/red]")
    for sequence in ("\x1b]0;owned", "\x1b]52;c", "\x9b2J", "\u202e", "\x1b]8;"):
        assert sequence not in shown


DEFECT = """
import sys
from optical_sweeps import cli
def fail(words):
    raise RuntimeError("clear \x1b[2J the screen, key " + "0a" * 20 + ", https://me:pass@host/x, correct horse")
cli._dispatch = fail
cli.main()
"""


def test_a_traceback_of_a_defect_has_no_control_characters_and_secrets(tmp_path):
    environment = {**os.environ, "MY_TOKEN": "correct horse"}
    done = subprocess.run(
        [sys.executable, "-c", DEFECT], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == (
        "RuntimeError: clear \\u001b[2J the screen, key [hidden], https://[hidden]@host/x, [hidden]"
    )
    assert "Traceback" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_messages_and_errors_hide_keys(key, capsys):
    from optical_sweeps.errors import leave_on_error, leave_on_user_error

    secret = key.removeprefix("https://").partition("@")[0]
    echo(f"cannot log in with {key}")
    printed = capsys.readouterr().out
    assert "cannot log in with" in printed
    assert secret not in printed

    def fail(error: Exception) -> None:
        raise error

    for guard, error in ((leave_on_user_error, UserError(key)), (leave_on_error, RuntimeError(key))):
        with pytest.raises(SystemExit) as leave:
            guard(fail)(error)
        assert secret not in str(leave.value)


def test_json_output_is_data_and_keeps_its_values(capsys):
    console.echo_json({"commit": "0a" * 20})
    assert json.loads(capsys.readouterr().out) == {"commit": "0a" * 20}


def test_a_file_name_in_an_operating_system_error_is_plain(monkeypatch):
    import errno

    from optical_sweeps import cli

    def fail(words: list[str]) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "\x1b[2Jfile")

    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(cli, "_dispatch", fail)
    with pytest.raises(SystemExit):
        cli.main()
    assert stream.getvalue().startswith("error: \\u001b[2Jfile: Permission denied; ")


def test_followed_logs_are_plain_and_without_keys(tmp_path, capsys, monkeypatch):
    from optical_sweeps.commands import sweep_logs
    from optical_sweeps.slurm.run_logs import RunLogs

    monkeypatch.setattr(sweep_logs, "follow", lambda path, done: iter(["\x1b[2J key hf_" + "aB3" * 10 + "\n"]))
    sweep_logs._follow(RunFolder(tmp_path), RunLogs((tmp_path / "log",), None))
    assert capsys.readouterr().out.splitlines()[-1] == "\\u001b[2J key [hidden]"


def test_a_bomb_in_the_cache_of_the_service_is_an_empty_cache(tmp_path, monkeypatch):
    from optical_sweeps.tracking.service_cache import ServiceCache

    monkeypatch.setenv("OPTICAL_SWEEPS_MAX_JSON_BYTES", "1000")
    path = tmp_path / "cache.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"format": 2, "runs": {}, "x": "y" * 2000}).encode()))
    assert ServiceCache(path).runs == {}


def test_a_broken_row_of_metrics_is_one_line(tmp_path):
    from optical_sweeps.runs.metrics_log import MetricsLog

    for line in (b"[]", b"{}", b"{", b"1", b"\xff", b"[" * 5000):
        (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "loss": 1}\n' + line + b"\n")
        with pytest.raises(UserError, match=r"metrics\.jsonl: a line is not a row of metrics .*run it again"):
            MetricsLog(tmp_path / "metrics.jsonl").last_value("loss")
