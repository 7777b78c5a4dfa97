"""The real client against a server that works, and against a faulty one."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optical_sweeps.sweeps.wandb_upload import offline_folders, sync_arguments
from optical_sweeps.tracking.sources import read_offline
from optical_sweeps.tracking.wandb_run import UNSENT
from tests.support.wandb_server import Fault, WandbServer
from tests.support.wandb_server.state import RunState

RunClient = Callable[..., subprocess.CompletedProcess[str]]

PROJECT = "optical-sweeps"
QUICK = {
    "WANDB__FILE_STREAM_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "1",
    "WANDB__GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "1",
    "WANDB__FILE_TRANSFER_RETRY_WAIT_MIN_SECONDS": "1",
    "WANDB__FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "1",
}
"""Shorter retry waits of the client, for tests."""

FAULTS = (
    Fault("file_stream", status=429, headers={"Retry-After": "1", "RateLimit-Remaining": "0"}, times=1),
    Fault("file_stream", status=500, times=2),
    Fault("file_stream", disconnect="before", times=1),
    Fault("file_stream", disconnect="after", times=2),
    Fault("file_stream", status=503, body="<html>not JSON", times=1),
    Fault("file_stream", delay=0.5, times=2),
    Fault("graphql:CreateRunFiles", status=500, times=1),
    Fault("upload", disconnect="after", times=1),
    Fault("upload", status=429, headers={"Retry-After": "1"}, times=1),
)


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with WandbServer() as running:
        yield running
        assert running.errors == []


@pytest.fixture
def client(run_client: RunClient, server: WandbServer) -> RunClient:
    """Runs a program as a user who is logged in to the server."""

    def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run_client(program, **{**QUICK, **server.environment(), **environment})

    return run


def online(**settings: object) -> str:
    given = {"upload_interval": 1, "finish_timeout": 30, **settings}
    return "mode='online', warn=print, " + ", ".join(f"{key}={value!r}" for key, value in given.items())


def logged(server: WandbServer, name: str = "run0") -> RunState:
    return server.run(PROJECT, name)


def command_of(warning: str) -> list[str]:
    """The command that a warning tells the user to run."""
    found = re.search(r"`(wandb sync .*)`", warning)
    assert found, warning
    return shlex.split(found[1])


def synchronise(server: WandbServer, command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", **QUICK, **server.environment()}
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, env=environment, cwd=home, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_child_of_the_wandb_agent_logs_under_its_own_id(client: RunClient, server: WandbServer) -> None:
    done = client(
        f"run = begin('run0', {online()}); run.log(1, {{'train/loss': 1.0}}); run.finish(); print(run.mode)",
        WANDB_SWEEP_ID="x1y2z3",
        WANDB_RUN_ID="agents",
        WANDB_PROJECT="agents-project",
    )
    *_, mode = done.stdout.splitlines()
    assert (mode, done.stderr) == ("online", "")
    assert server.runs(PROJECT) == ["run0"]
    assert logged(server).values("step") == [1]


def test_a_run_arrives_completely(client: RunClient, server: WandbServer, tmp_path: Path) -> None:
    done = client(
        f"""
        (SWEEP / "per_query.parquet").write_bytes(b"rows")
        (SWEEP / "test.ar.trec.gz").write_bytes(b"ranking")
        run = begin("run0", {online(artifacts=True)})
        for step in range(5):
            run.log(step, {{"train/loss": 1 / (step + 1)}})
        run.log(4, {{"dev/nDCG@10/ar": 0.25}})
        run.finish({{"test/nDCG@10/ar": 0.5}}, [SWEEP / "per_query.parquet"],
                   artifact=[SWEEP / "per_query.parquet", SWEEP / "test.ar.trec.gz"])
        print(run.mode)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "online\n", "")
    run = logged(server)
    assert (run.state, run.group, run.jobType, run.tags) == ("finished", "demo", "train", ["a", "b"])
    assert run.values("step") == [0, 1, 2, 3, 4, 4]
    assert run.values("dev/nDCG@10/ar") == [0.25]
    assert run.summary["test/nDCG@10/ar"] == 0.5
    assert run.plain_config["objective"] == {"name": "optical", "epsilon": 0.05}
    assert run.plain_config["code_version"] == {"commit": "abc", "dirty": False}
    assert run.stored["per_query.parquet"].content == b"rows"
    (artifact,) = run.artifacts_logged
    assert (artifact.collection, artifact.is_committed) == ("retrieval-run-run0", True)
    assert {name: file.content for name, file in artifact.contents.items()} == {
        "per_query.parquet": b"rows",
        "test.ar.trec.gz": b"ranking",
    }
    assert files_with(server.key, tmp_path) == []


def test_a_killed_run_resumes_without_lost_or_duplicated_rows(client: RunClient, server: WandbServer) -> None:
    killed = client(
        f"""
        run = begin("run0", {online()})
        for step in range(1, 21):
            run.log(step, {{"train/loss": 1 / step}})
        wait_for_server(20)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert killed.returncode == -9
    done = client(
        f"""
        run = begin("run0", {online()})
        for step in range(11, 31):
            run.log(step, {{"train/loss": 1 / step}})
        run.finish({{"test/nDCG@10/ar": 0.5}})
        """
    )
    assert (done.stdout, done.stderr) == ("", "")
    run = logged(server)
    assert run.values("step") == list(range(1, 31))
    assert run.values("train/loss") == [1 / step for step in range(1, 31)]
    assert (run.state, run.summary["test/nDCG@10/ar"]) == ("finished", 0.5)


def test_rows_that_are_only_on_disk_are_sent_when_the_run_resumes(
    client: RunClient, server: WandbServer
) -> None:
    server.inject(Fault("file_stream", disconnect="before"))
    client(
        f"""
        run = begin("run0", {online()})
        log_until_on_disk(run, range(1, 21))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert logged(server).values("step") == []
    server.heal()
    client(
        f"""
        run = begin("run0", {online()})
        for step in range(16, 31):
            run.log(step, {{"train/loss": 1 / (step + 1)}})
        run.finish()
        """
    )
    assert logged(server).values("step") == list(range(1, 31))


def test_rows_of_a_killed_run_that_resumes_offline_are_synchronised(
    client: RunClient, server: WandbServer, tmp_path: Path
) -> None:
    server.inject(Fault("file_stream", disconnect="before"))
    client(
        f"""
        run = begin("run0", {online()})
        log_until_on_disk(run, range(1, 21))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    server.heal()
    server.inject(Fault("graphql:UpsertBucket", status=403, body='{"errors": [{"message": "no"}]}'))
    done = client(
        f"""
        time.sleep(1.1)  # a fragment's folder is named by its second
        run = begin("run0", {online(init_timeout=2)})
        for step in range(16, 31):
            run.log(step, {{"train/loss": 1 / (step + 1)}})
        run.finish()
        print(run.mode)
        """
    )
    warning, mode = done.stdout.splitlines()
    assert mode == "offline"
    assert len(list(tmp_path.glob(f"run0/wandb/run-*/{UNSENT}"))) == 1
    server.heal()
    synchronise(server, command_of(warning), tmp_path / "home")
    assert sorted(set(logged(server).values("step"))) == list(range(1, 31))


def test_fragments_written_offline_are_one_history_on_the_server(
    client: RunClient, server: WandbServer, tmp_path: Path
) -> None:
    client(
        """
        run = begin("run0")
        log_until_on_disk(run, range(1, 21))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    client(
        """
        time.sleep(1.1)  # a fragment's folder is named by its second
        run = begin("run0")
        for step in range(11, 31):
            run.log(step, {"train/loss": 1 / (step + 1)})
        run.finish({"test/nDCG@10/ar": 0.5})
        """
    )
    folders = sorted(str(path) for path in tmp_path.glob("run0/wandb/offline-run-*"))
    assert len(folders) == 2
    synchronise(server, ["wandb", "sync", *folders], tmp_path / "home")
    run = logged(server)
    assert run.values("step") == list(range(1, 31))
    assert (run.state, run.summary["test/nDCG@10/ar"]) == ("finished", 0.5)


def test_temporary_faults_leave_no_trace(client: RunClient, server: WandbServer, tmp_path: Path) -> None:
    server.inject(*FAULTS)
    done = client(
        f"""
        (SWEEP / "per_query.parquet").write_bytes(b"rows")
        run = begin("run0", {online()})
        for step in range(1, 61):
            run.log(step, {{"train/loss": 1 / step}})
            time.sleep(0.05)
        run.finish({{"test/nDCG@10/ar": 0.5}}, [SWEEP / "per_query.parquet"])
        print(run.mode)
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "online\n", "")
    assert server.faults.left() == 0, "every fault was met"
    run = logged(server)
    assert run.values("step") == list(range(1, 61))
    assert (run.state, run.summary["test/nDCG@10/ar"]) == ("finished", 0.5)
    assert run.stored["per_query.parquet"].content == b"rows"


def test_a_server_that_comes_back_gets_everything(client: RunClient, server: WandbServer) -> None:
    done = client(
        f"""
        run = begin("run0", {online()})
        for step in range(1, 11):
            run.log(step, {{"train/loss": 1 / step}})
        wait_for_server(10)
        tell_server("down")
        for step in range(11, 41):
            run.log(step, {{"train/loss": 1 / step}})
            time.sleep(0.02)
        run.finish()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert logged(server).values("step") == list(range(1, 41))


@pytest.mark.parametrize(
    "end",
    [
        Fault("file_stream", status=401, body='{"errors": [{"message": "the key was revoked"}]}'),
        Fault("*", disconnect="before"),
    ],
    ids=["key revoked", "no answers"],
)
def test_a_run_cut_off_for_good_ends_offline_and_says_how_to_synchronise(
    client: RunClient, server: WandbServer, tmp_path: Path, end: Fault
) -> None:
    server.arm(end)
    done = client(
        f"""
        run = begin("run0", {online(finish_timeout=3)})
        for step in range(1, 11):
            run.log(step, {{"train/loss": 1 / step}})
        wait_for_server(10)
        tell_server("arm")
        for step in range(11, 31):
            run.log(step, {{"train/loss": 1 / step}})
            time.sleep(0.02)
        run.finish({{"test/nDCG@10/ar": 0.5}})
        print(run.mode)
        """
    )
    warning, mode = done.stdout.splitlines()
    assert mode == "offline"
    assert done.stderr == ""
    assert len(set(logged(server).values("step"))) < 30
    (run,) = read_offline(tmp_path)
    assert run.complete
    assert [row["step"] for row in run.history] == list(range(1, 31))
    server.heal()
    synchronise(server, command_of(warning), tmp_path / "home")
    assert set(logged(server).values("step")) == set(range(1, 31))
    assert logged(server).state == "finished"
    assert files_with(server.key, tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("graphql:UpsertBucket", status=401, body='{"errors": [{"message": "refused"}]}'), "refused"),
        (Fault("graphql:*", status=429, headers={"Retry-After": "1"}), ""),
        (Fault("graphql:*", delay=30), ""),
        (Fault("*", disconnect="before"), ""),
    ],
    ids=["key refused", "rate limit", "slow", "no answers"],
)
def test_a_run_that_cannot_begin_online_is_kept_offline(
    client: RunClient, server: WandbServer, tmp_path: Path, fault: Fault, reason: str
) -> None:
    server.inject(fault)
    done = client(
        f"""
        run = begin("run0", {online(init_timeout=20 if reason else 2)})
        for step in range(1, 11):
            run.log(step, {{"train/loss": 1 / step}})
        run.finish({{"test/nDCG@10/ar": 0.5}})
        print(run.mode)
        """
    )
    warning, mode = done.stdout.splitlines()
    assert (done.returncode, done.stderr, mode) == (0, "", "offline")
    assert "this run is logged offline" in warning
    assert reason in warning
    (run,) = read_offline(tmp_path)
    assert run.complete
    server.heal()
    synchronise(server, command_of(warning), tmp_path / "home")
    assert logged(server).values("step") == list(range(1, 11))
    assert logged(server).state == "finished"
    assert files_with(server.key, tmp_path) == []


def test_an_invalid_key_is_refused_and_not_written(
    client: RunClient, server: WandbServer, tmp_path: Path
) -> None:
    key = "5ec4e7" * 7
    done = client(
        f"run = begin('run0', {online()}); run.log(1, {{'train/loss': 1.0}}); run.finish(); print(run.mode)",
        WANDB_API_KEY=key,
    )
    warning, mode = done.stdout.splitlines()
    assert mode == "offline"
    assert "invalid api key" in warning
    assert server.runs(PROJECT) == []
    assert key not in done.stdout + done.stderr
    assert files_with(key, tmp_path) == []


def test_earlier_starts_need_no_synchronisation_after_a_start_that_ended_online(
    client: RunClient, server: WandbServer, tmp_path: Path
) -> None:
    """Rows of an offline start reach the server with the start that ends online."""
    client(
        """
        run = begin("run0")
        log_until_on_disk(run, range(1, 11))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = client(
        f"""
        time.sleep(1.1)  # a fragment's folder is named by its second
        run = begin("run0", {online()})
        for step in range(6, 21):
            run.log(step, {{"train/loss": 1 / step}})
        run.finish({{"test/nDCG@10/ar": 0.5}})
        """
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert logged(server).values("step") == list(range(1, 21))
    (left,) = offline_folders(tmp_path / "run0")  # sent again, it would end the run as failed, without measures
    synchronise(server, ["wandb", *sync_arguments([left])], tmp_path / "home")
    run = logged(server)
    assert run.values("step") == list(range(1, 21))
    assert (run.state, run.summary["test/nDCG@10/ar"]) == ("finished", 0.5)
