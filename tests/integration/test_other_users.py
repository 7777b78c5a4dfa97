"""Sweeps of another user, who may only be read, and users without a home folder."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import STUDY

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to act as another user"
)
READER = 54321
"""A user without an entry in the list of users, as in a container."""
RIGHTS = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
"""The Python under test may lie in a folder of root's: the reader may read everything, and write its own."""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that everyone can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="other-users-"))
    folder.chmod(0o755)
    experiments = folder / "studies" / "experiment"
    experiments.mkdir(parents=True)
    (experiments / "small.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "own").mkdir()
    os.chown(folder / "own", READER, READER)
    yield folder
    shutil.rmtree(folder)


def call(
    folder: Path, *words: str, user: int | None = None, **changes: str | None
) -> subprocess.CompletedProcess[str]:
    """Run `optical-sweeps ...` in a folder, as another user; a change of None removes a variable."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    if user is not None:  # ranx's folder may be root's; its kernels are compiled once for all these tests
        environment["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / f"numba-of-{user}")
    for name, value in changes.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    prefix = (
        [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *RIGHTS]
    )
    return subprocess.run(
        [*prefix, sys.executable, "-m", "optical_sweeps", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


SMALL = (
    "experiment=small", "languages.high=[near]", "languages.low=[distant]", "training.epochs=1",
    "objective=optical", "mixture.ratio=0.5",
)  # fmt: skip


@pytest.fixture(scope="module")
def sweep(place: Path) -> str:
    """A sweep of root's, with one run; group and others may read it."""
    (place / "root").mkdir()
    done = call(place / "root", "train", "--config-dir", "../studies", "-m", *SMALL)
    assert done.returncode == 0, done.stderr
    return str(place / "root" / "multirun" / "small")


def test_every_file_of_a_sweep_can_be_read_by_others(place: Path, sweep: str) -> None:
    closed = [path for path in (place / "root").rglob("*") if not path.stat().st_mode & 0o044]
    assert closed == []


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("sweep", "status"), "1 done"),
        (("verify",), " OK"),
        (("curves", "output=own-curves"), "own-curves"),
        (("figures", "output=own-figures"), "own-figures"),
        (("report", "--output", "page.html"), "page.html"),
    ],
    ids=["status", "verify", "curves", "figures", "report"],
)
def test_a_sweep_that_may_only_be_read(place: Path, sweep: str, words: tuple[str, ...], shown: str) -> None:
    name = words[:2] if words[0] == "sweep" else words[:1]
    relative = os.path.relpath(sweep, place / "root")
    own = place / "own" / words[0]
    own.mkdir()
    os.chown(own, READER, READER)
    options = [word if "=" not in word else f"output={own}" for word in words[len(name) :]]
    options = [str(own / "page.html") if word == "page.html" else word for word in options]
    done = call(place / "root", *name, relative, *options, user=READER, HOME=str(place / "own"))
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout or str(own) in done.stdout


def test_the_upload_of_a_sweep_that_may_only_be_read_is_refused(place: Path, sweep: str) -> None:
    done = call(place / "root", "sweep", "sync", "multirun/small", user=READER, HOME=str(place / "own"))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "you cannot write there, where W&B's client marks what it has uploaded" in line


def test_what_may_not_be_written_is_one_line(place: Path, sweep: str) -> None:
    done = call(place / "root", "report", "multirun/small", user=READER, HOME=str(place / "own"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "Permission denied; grant access or free space, or choose another folder" in line


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc"], ids=["unset", "missing", "read-only"])
def test_a_run_without_a_home_folder(place: Path, home: str | None) -> None:
    folder = place / "own" / f"home-{Path(home or 'unset').name}"
    folder.mkdir()
    os.chown(folder, READER, READER)
    done = call(
        folder, "train", "--config-dir", str(place / "studies"), *SMALL,
        user=READER, HOME=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("no home folder that can be written: libraries use ")
    assert not Path(line.split()[9]).exists()
    assert list(folder.glob("multirun/small/*/record.json"))
    assert list(folder.glob("multirun/small/*/wandb/offline-run-*/run-*.wandb"))
