"""States of a run folder, seen from and caused by real second processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.runs.heartbeat import beating
from optical_sweeps.runs.run_folder import RECORD_SCHEMA, RunFolder, RunIsTaken, write_json

PREAMBLE = """
import sys, time
from pathlib import Path
from optical_sweeps.runs.run_folder import RunFolder, write_json
folder = RunFolder(Path(sys.argv[1]))
def tell(text):
    print(text, flush=True)
"""
HOLD = """
with folder.claim():
    folder.metrics_path.write_text("{}")
    tell("claimed")
    sys.stdin.read()
"""
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "sweep" / "0123456789ab")


@pytest.fixture
def start(folder) -> Iterator[Start]:
    """Starts a program with `folder` and `tell` in a new process, which ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(program), str(folder.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_nothing_is_missing(folder):
    assert folder.state() == "missing"
    assert not folder.path.exists()


def test_a_folder_with_hydras_files_alone_is_missing(folder):
    """Hydra writes them before the run starts."""
    (folder.path / ".hydra").mkdir(parents=True)
    assert folder.state() == "missing"


def test_a_killed_run_can_be_claimed_again(folder, start):
    worker = start(HOLD)
    assert line_of(worker) == "claimed"
    assert folder.state() == "running"
    with pytest.raises(RunIsTaken), folder.claim():
        pytest.fail("two processes in one folder")
    assert folder.state() == "running"
    assert not folder.failure_path.exists()  # being refused is no failure of the run

    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert folder.state() == "stale"

    with folder.claim():
        assert folder.metrics_path.exists()  # files of the killed attempt are kept
        folder.write_record({"measures": {}})
    assert folder.state() == "done"


def test_the_owner_of_a_folder_is_known(folder, start):
    worker = start(HOLD)
    assert line_of(worker) == "claimed"
    owner = folder.owner()
    assert (owner["pid"], owner["host"]) == (worker.pid, socket.gethostname())
    assert set(owner) == {"host", "pid", "slurm_job", "started"}
    worker.communicate("")
    assert worker.returncode == 0
    assert folder.owner() == {}
    assert folder.state() == "stale"  # it let go without a record


def owned_elsewhere(folder: RunFolder, **facts: object) -> None:
    """Pretends that another host, whose locks are not visible here, works in the folder."""
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / ".lock").touch()
    write_json(folder.owner_path, {"host": "another", "pid": 1, "slurm_job": None, **facts})


def hours_ago(path: Path) -> None:
    old = time.time() - 3600
    os.utime(path, (old, old))


def test_another_hosts_sign_of_life_expires(tmp_path):
    folder = RunFolder(tmp_path / "run", beat=0.1)
    owned_elsewhere(folder)
    assert folder.state() == "running"
    hours_ago(folder.owner_path)
    assert folder.state() == "stale"
    with folder.claim():
        assert folder.state() == "running"
        assert folder.owner()["pid"] == os.getpid()


def test_another_host_that_is_alive_keeps_the_folder(tmp_path, start):
    folder = RunFolder(tmp_path / "run", beat=2.0)
    owned_elsewhere(folder)
    with beating(folder.owner_path, 0.05), pytest.raises(RunIsTaken), folder.claim():
        pytest.fail("two hosts in one folder")
    assert folder.owner()["host"] == "another"


@pytest.mark.parametrize("offset", [-7200, -150, 150, 7200])
def test_a_live_owner_keeps_the_folder_whatever_its_clock_says(tmp_path, offset):
    folder = RunFolder(tmp_path / "run", beat=1.0)
    owned_elsewhere(folder)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.05):
            now = time.time() + offset
            os.utime(folder.owner_path, (now, now))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        time.sleep(0.1)
        with pytest.raises(RunIsTaken), folder.claim():
            pytest.fail("two hosts in one folder")
        assert folder.state() == "running"  # its beats were seen, so no clock is compared
    finally:
        ended.set()
        thread.join()
    assert folder.owner()["host"] == "another"


@pytest.mark.parametrize("offset", [-7200, 7200])
def test_a_hosts_clock_does_not_decide_what_is_shown_of_another_host(tmp_path, monkeypatch, offset):
    """The server of a network file system stamps the files of all hosts."""
    monkeypatch.setattr("optical_sweeps.runs.heartbeat.time.time", lambda: time.monotonic() + clock)
    clock = time.time_ns() / 1e9 - time.monotonic() + offset
    folder = RunFolder(tmp_path / "run")
    owned_elsewhere(folder)
    assert folder.state() == "running"
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "owner.json"]


def test_the_runs_of_a_dead_owner_are_watched_together(tmp_path, monkeypatch):
    folders = [RunFolder(tmp_path / name, beat=0.1) for name in "abc"]
    for folder in reversed(folders):  # the first is seen last, so its watch ends last
        owned_elsewhere(folder)
        hours_ago(folder.owner_path)
        assert folder.state() == "stale"
    with folders[0].claim():
        pass
    monkeypatch.setattr("optical_sweeps.runs.run_folder.time.sleep", lambda seconds: pytest.fail("waited"))
    for folder in folders[1:]:
        with folder.claim():
            pass


def test_another_host_that_is_dead_loses_the_folder(tmp_path):
    folder = RunFolder(tmp_path / "run", beat=0.05)
    owned_elsewhere(folder)
    with folder.claim():
        assert folder.owner()["host"] == socket.gethostname()


def test_a_requeued_job_continues_its_own_work(folder, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    owned_elsewhere(folder, slurm_job="7")
    assert folder.state() == "stale"
    with folder.claim():  # without waiting for the old owner to fall silent
        pass


def test_a_finished_run_is_done(folder, start):
    worker = start(
        """
        with folder.claim():
            folder.write_record({"id": folder.path.name, "measures": {"test": {"nDCG@10": {"ar": 0.5}}}})
        """
    )
    assert worker.wait() == 0
    assert folder.state() == "done"
    assert folder.record() == {
        "schema": RECORD_SCHEMA,
        "id": folder.path.name,
        "measures": {"test": {"nDCG@10": {"ar": 0.5}}},
    }


def test_a_failure_is_stored_until_the_next_attempt(folder, start):
    worker = start(
        """
        def part_that_breaks():
            raise RuntimeError("the plan has no room")
        with folder.claim():
            part_that_breaks()
        """
    )
    _, stderr = worker.communicate()
    assert worker.returncode == 1
    assert stderr.endswith("RuntimeError: the plan has no room\n")  # told and passed on
    assert folder.state() == "failed"
    failure = folder.failure()
    assert (failure["error"], failure["message"]) == ("RuntimeError", "the plan has no room")
    assert failure["cause"] == "error"
    assert "in part_that_breaks" in failure["traceback"]
    assert not folder.record_path.exists()

    with folder.claim():
        assert folder.state() == "running"
        assert not folder.failure_path.exists()
    assert folder.state() == "stale"


def test_a_done_run_stays_done_after_a_failed_attempt(folder):
    with folder.claim():
        folder.write_record({})
    write_json(folder.failure_path, {"error": "older"})
    assert folder.state() == "done"


def test_records_are_written_atomically(folder, start):
    """A process is killed at any time while it writes records; the record is readable all the time."""
    for delay in (0.0, 0.003, 0.01, 0.03):
        folder.record_path.unlink(missing_ok=True)
        worker = start(
            """
            folder.path.mkdir(parents=True, exist_ok=True)
            tell("writing")
            for number in range(10_000):
                folder.write_record({"number": number, "fill": "x" * 200_000, "end": number})
            """
        )
        assert line_of(worker) == "writing"
        deadline = time.monotonic() + delay
        while time.monotonic() < deadline:
            _assert_whole(folder)
        worker.kill()
        worker.wait()
        _assert_whole(folder)


def _assert_whole(folder: RunFolder) -> None:
    if folder.record_path.exists():
        record = folder.record()
        assert record["number"] == record["end"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "record.json"
    write_json(path, {"value": 1})
    with pytest.raises(TypeError):
        write_json(path, {"fine": 1, "no JSON": {1, 2}})
    assert json.loads(path.read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 1, "measures"', b"not JSON", b'{"a": "\xff"}'])
def test_a_broken_record_is_one_clear_line(folder, content):
    folder.path.mkdir(parents=True)
    folder.record_path.write_bytes(content)
    with pytest.raises(UserError) as error:
        folder.record()
    assert str(error.value).startswith(f"{folder.record_path}: not JSON")
    assert "delete the file" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [{}, {"schema": RECORD_SCHEMA + 1}, {"schema": "1"}])
def test_a_record_of_another_schema_is_one_clear_line(folder, content):
    folder.path.mkdir(parents=True)
    write_json(folder.record_path, content)
    with pytest.raises(UserError) as error:
        folder.record()
    assert f"schema {content.get('schema')!r}, but this version reads {RECORD_SCHEMA}" in str(error.value)
    assert str(folder.record_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["[]", "null", '"text"'])
def test_a_record_that_is_not_an_object_is_one_clear_line(folder, content):
    folder.path.mkdir(parents=True)
    folder.record_path.write_text(content)
    with pytest.raises(UserError, match=r"record\.json: schema None"):
        folder.record()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
@pytest.mark.parametrize("mode", [0o644, 0o600], ids=["readable", "closed"])
def test_another_user_sees_the_state_of_a_run(mode):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = RunFolder(Path(name, "run"))

        def state_for_another_user():
            (folder.path / ".lock").chmod(mode)
            os.seteuid(54321)
            try:
                return folder.state()
            finally:
                os.seteuid(0)

        with folder.claim():
            assert state_for_another_user() == "running"
        assert state_for_another_user() == "stale"
        folder.failure_path.write_text("{}", encoding="utf-8")
        assert state_for_another_user() == "failed"
        folder.write_record({})
        assert state_for_another_user() == "done"
