"""Sweeps that train, on a real cluster and by the command line; tiny, since a worker takes seconds to start."""

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.sweeps.grid import Grid
from tests.support.slurm_cluster import Cluster

STUDY = """\
# @package _global_
defaults:
  - override /data: synthetic
  - override /languages: synthetic
  - override /backbone: tiny
  - override /logger: disabled

data:
  lexicon_size: 120
  topics: 30
  documents_per_topic: 2
  daughters:
    near: {pairs: 80}
    shifted: {pairs: 80}
    inverted: {pairs: 80}
    fusing: {pairs: 80}
    splitting: {pairs: 80}
    distant: {pairs: 80}
languages: {high: [near], low: [distant]}
backbone: {layers: 1, hidden_size: 32, vocabulary_size: 400}
encoder: {dim: 16}
teacher: {training: {epochs: 1}}
training: {batch_size: 8, log_every: 1}
mixture: {total: 80}
machine: {accelerator: cpu, threads: 1, checkpoint_seconds: 0}
sweep: {name: tiny}
"""
STUDIES = ("--config-dir", "studies", "experiment=tiny")
SMALL = ("hydra.launcher.time='0:10:00'", "hydra.launcher.cpus=1", "hydra.launcher.mem=1G")
ON_CPUS = (
    "hydra/launcher=slurm_cpu",
    *SMALL,
    "hydra.launcher.points_per_task=2",
    "hydra.launcher.poll_seconds=0.5",
)
FOLDER = Path("multirun/tiny")
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    file = folder / "studies" / "experiment" / "tiny.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def call(folder: Path, cluster: Cluster, here: Call) -> Call:
    """Runs `optical-sweeps ...` in the study's folder, in this process."""

    def run(*arguments: str):
        with mock.patch.dict(os.environ, cluster.environment):
            return here(folder, *arguments)

    return run


@pytest.fixture(scope="module")
def submitted(folder: Path, call: Call, cluster: Cluster) -> dict[str, Any]:
    """What `sweep submit` told of three runs, after they have ended."""
    done = call(
        "sweep",
        "submit",
        *STUDIES,
        *ON_CPUS,
        "objective=contrastive,optical,none",
        "mixture.ratio=0.5",
        "--json",
    )
    assert done.code == 0, done
    wait(cluster.idle, folder)
    told: dict[str, Any] = json.loads(done.out)
    return told


def wait(over: Callable[[], bool], folder: Path, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not over():
        assert time.monotonic() < end, logs(folder)
        time.sleep(0.05)


def logs(folder: Path) -> str:
    paths = sorted(folder.glob("multirun/*/submissions/*/logs/*"))
    return "\n".join(f"== {path.name}\n{path.read_text()}" for path in paths)


def states(folder: Path) -> Mapping[str, str]:
    return dict(Grid.load(folder / FOLDER).states())


def run_of(folder: Path, label: str) -> RunFolder:
    grid = Grid.load(folder / FOLDER)
    return next(run for name, run in grid.runs.items() if label in grid.labels()[name])


def test_a_submitted_sweep_is_prepared_packed_and_done(folder, submitted):
    assert [job["role"] for job in submitted["jobs"]] == ["prepare", "array"]
    assert list(map(len, submitted["packs"])) == [2, 1]
    assert set(states(folder).values()) == {"done"}, logs(folder)
    records = [RunFolder(folder / FOLDER / run).record() for run in submitted["runs"]]
    assert {part for record in records for part in record["shared"]["built"]} <= {"english", "tokens"}
    assert all(record["config"]["logger"] for record in records)


def test_a_killed_run_goes_on_where_it_was_cut_off(folder, submitted, call, cluster):
    """In Slurm's hands kill -9 leaves a stale run; asked for again it ends as if undisturbed."""
    asked = ("objective=contrastive", "mixture.ratio=0.5", "training.epochs=15")
    told = json.loads(call("sweep", "submit", *STUDIES, *ON_CPUS, *asked, "--json").out)
    assert len(told["jobs"]) == 1  # what the runs share is there
    call("sweep", "submit", *STUDIES, *ON_CPUS, *asked, "sweep.name=undisturbed")
    (name,) = told["runs"]
    run, other = (RunFolder(folder / "multirun" / sweep / name) for sweep in ("tiny", "undisturbed"))
    wait(lambda: run.metrics_path.exists() and run.metrics_path.read_text().count("\n") > 20, folder)
    os.kill(int(run.owner()["pid"]), signal.SIGKILL)
    assert not run.record_path.exists()
    wait(cluster.idle, folder)
    assert states(folder)[name] == "stale"

    again = call("train", "-m", *STUDIES, *ON_CPUS, *asked, "objective=contrastive,none")
    assert (again.code, again.err) == (0, ""), again
    assert "2 grid points: 1 done, 1 stale" in again.out  # what is done costs no job
    assert run.record()["measures"] == other.record()["measures"]
    assert losses(run) == losses(other)


def losses(run: RunFolder) -> list[tuple[int, float]]:
    rows = map(json.loads, run.metrics_path.read_text().splitlines())
    return [(row["step"], row["train/loss"]) for row in rows if "train/loss" in row]


def test_the_launcher_waits_and_tells_of_failures(folder, submitted, call):
    rates = "training.learning_rate=1e30,2e-3"
    done = call("train", "-m", *STUDIES, *ON_CPUS, "objective=contrastive", "mixture.ratio=0,0.5", rates)
    assert done.code == 1, done
    assert done.err == ""
    assert "the loss is" in done.out
    labels = Grid.load(folder / FOLDER).labels()
    by_rate = {run: state for run, state in states(folder).items() if "learning_rate" in labels[run]}
    assert sorted(by_rate.values()) == ["done", "done", "failed", "failed"]
    failed = next(run for run, state in by_rate.items() if state == "failed")
    told = json.loads(call("sweep", "logs", str(FOLDER / failed), "--json").out)
    assert told["failure"]["cause"] == "nan"
    assert "FAILED" in told["log"]


def test_a_run_on_two_processes_ends_near_the_run_on_one(folder, submitted, call, cluster):
    alone = run_of(folder, "optical").record()
    devices = ("hydra/launcher=slurm_ddp", *SMALL, "hydra.launcher.prepare.mem=1G", "machine.devices=2")
    asked = ("objective=optical", "mixture.ratio=0.5", "sweep.name=two")
    done = call("sweep", "submit", *STUDIES, *devices, *asked, "--json")
    assert done.code == 0, done
    wait(cluster.idle, folder)
    (run,) = json.loads(done.out)["runs"]
    together = RunFolder(folder / "multirun" / "two" / run)
    assert together.record_path.exists(), logs(folder)
    measured, expected = (each["measures"]["test"]["nDCG@10"] for each in (together.record(), alone))
    assert measured == pytest.approx(expected, abs=0.02)


def test_a_run_on_two_nodes_ends_as_on_two_devices_of_one(folder, submitted, call, cluster):
    devices = ("hydra/launcher=slurm_ddp", *SMALL, "hydra.launcher.prepare.mem=1G", "hydra.launcher.gpus=null")
    where = ("machine.nodes=2", "hydra.launcher.partition=wide", "hydra.launcher.prepare.gpus=null")
    asked = ("objective=optical", "mixture.ratio=0.5", "sweep.name=nodes")
    done = call("sweep", "submit", *STUDIES, *devices, *where, *asked, "--json")
    assert done.code == 0, done
    wait(cluster.idle, folder)
    (run,) = json.loads(done.out)["runs"]
    over_nodes = RunFolder(folder / "multirun" / "nodes" / run)
    assert over_nodes.record_path.exists(), logs(folder)
    expected = run_of(folder, "optical").record()["measures"]["test"]["nDCG@10"]
    assert over_nodes.record()["measures"]["test"]["nDCG@10"] == pytest.approx(expected, abs=0.02)


def test_the_jobs_of_an_array_share_a_tuning(folder, submitted, cluster):
    """`tune` as docs/howto/tuning.md submits it."""
    settings = ("mixture.ratio=0.5", "tuning.objectives=[contrastive,mse]", "tuning.trials=2")
    command = shlex.join([sys.executable, "-m", "optical_sweeps", "tune", *STUDIES, *settings])
    places = (f"--chdir={folder}", f"--output={folder}/tune-%a.txt")
    cluster.call(
        "sbatch", "--array=1-2", "--time=10", "--cpus-per-task=1", "--mem=1G", *places, "--wrap", command
    )
    wait(cluster.idle, folder)
    outputs = [(folder / f"tune-{task}.txt").read_text() for task in (1, 2)]
    tuning = folder / "multirun" / "tiny_tuning"
    trials = json.loads((tuning / "trials.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["done"] * 4, outputs
    # each trial by one job; the other one may find it "done before"
    results = [line for output in outputs for line in output.splitlines() if "nDCG@10 high" in line]
    assert sum("done before" not in line for line in results) == 4, outputs
    assert {path.stem for path in (tuning / "tuned_settings").iterdir()} == {"contrastive", "mse"}


def test_submitit_works_through_the_same_sweeper(folder, submitted, call):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    settings = ("partition=low", "timeout_min=5", "cpus_per_task=1", "mem_gb=1", "max_num_timeout=0")
    launcher = ("hydra/launcher=submitit_slurm", *(f"hydra.launcher.{setting}" for setting in settings))
    done = call("train", "-m", *STUDIES, *launcher, "objective=none,contrastive", "mixture.ratio=1")
    assert done.code == 0, done  # submitit warns that it has no accounting to ask
    assert run_of(folder, "contrastive ratio=1").record_path.exists()
