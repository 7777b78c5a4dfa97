"""The wheel, in an environment of its own outside the checkout."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
TINY = (
    "data=synthetic",
    "languages=synthetic",
    "backbone=tiny",
    "logger.mode=offline",
    "objective=contrastive",
    "data.topics=20",
    "data.lexicon_size=60",
    "data.documents_per_topic=1",
    "languages.high=[near]",
    "languages.low=[distant]",
    "backbone.layers=1",
    "backbone.hidden_size=16",
    "encoder.dim=8",
    "teacher.training.epochs=1",
    "mixture.total=32",
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def distributions(tmp_path_factory, environment) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("distributions")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    _run(build, folder, environment)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory, environment) -> Path:
    """The programs of a new environment with this wheel; dependencies come from the present environment.

    Their folder is added by a .pth file; .pth files in that folder are not read, so the checkout, where it
    is installed as editable, stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    _run([sys.executable, "-m", "venv", "--without-pip", "venv"], folder, environment)
    python = folder / "venv" / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    _run([sys.executable, *install, "--disable-pip-version-check", str(wheel)], folder, environment)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.fixture
def run(installed, environment, tmp_path) -> Run:
    """Runs a program of that environment in an empty folder."""
    return lambda program, *arguments: _run([str(installed / program), *arguments], tmp_path, environment)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_wheel_carries_the_configs_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    configs = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "conf").rglob("*.yaml")}
    assert len(configs) > 20
    assert {f"optical_sweeps/{name}" for name in configs} <= names
    top = {name.split("/")[0] for name in names}
    assert {name.removesuffix(".dist-info") for name in top} - {"optical_sweeps", "hydra_plugins"} == {
        wheel.name.rsplit("-", 3)[0]
    }
    assert "optical_sweeps/py.typed" in names
    assert not any("test" in Path(name).name for name in names)
    assert not any("multirun" in name or "artifacts/" in name for name in names)


def test_the_sdist_carries_what_is_committed_and_nothing_else(distributions):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for expected in ("README.md", "CHANGELOG.md", "LICENSE", "docs/index.md", "conf/train.yaml", "Makefile"):
        assert expected in names
    tops = {name.split("/")[0] for name in names}
    assert {name for name in names if name.startswith("multirun/")} <= {"multirun/.gitkeep"}
    assert not tops & {"artifacts", "site", "wandb", ".venv", ".pylate", ".docs_cache"}


def test_an_index_would_accept_them(distributions, environment):
    files = [str(path) for path in sorted(distributions.iterdir()) if path.suffix in (".gz", ".whl")]
    done = _run([sys.executable, "-m", "twine", "check", "--strict", *files], distributions, environment)
    assert done.stdout.count("PASSED") == 2


def test_it_is_the_wheel_that_runs(run, installed):
    where = (
        "import optical_sweeps, optical_sweeps.cli as cli; print(optical_sweeps.__file__, cli.conf_folder())"
    )
    file, conf = map(Path, run("python", "-c", where).stdout.split())
    assert file.is_relative_to(installed.parent)
    assert conf == file.parent / "conf"


def test_help_and_config(run, tmp_path):
    assert "optical-sweeps COMMAND" in run("optical-sweeps", "--help").stdout
    config = yaml.safe_load(run("optical-sweeps", "train", "--cfg", "job").stdout)
    assert config["mixture"]["_target_"] == "optical_sweeps.corpora.mixture.FixedTotal"
    assert list(tmp_path.iterdir()) == []


def test_a_run_from_an_empty_folder(run, tmp_path):
    done = run("optical-sweeps", "train", *TINY)
    assert done.stderr == ""
    assert "nDCG@10" in done.stdout.splitlines()[-1]
    (record,) = (tmp_path / "multirun").glob("*/*/record.json")
    assert record.stat().st_size > 1000
