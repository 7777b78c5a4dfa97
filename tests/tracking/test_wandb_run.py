"""The real W&B client, offline or against a closed port."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.interruption import EXIT_CODE
from optical_sweeps.tracking import wandb_run
from optical_sweeps.tracking.sources import read_offline
from optical_sweeps.tracking.tracker import NullTracker
from optical_sweeps.tracking.wandb_run import UNSENT, WandbRun, tracker_for
from optical_sweeps.tracking.wandb_settings import WandbSettings

RunClient = Callable[..., subprocess.CompletedProcess[str]]

KEY = "5ec4e7" * 8
CLOSED_PORT = "http://127.0.0.1:9"


def everything_written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_run_is_complete_and_prints_nothing(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        (SWEEP / "per_query.parquet").write_bytes(b"rows")
        for number in range(3):
            run = begin(f"run{number}")
            for step in range(5):
                run.log(step, {"train/loss": 1 / (step + 1 + number)})
            run.log(4, {"dev/nDCG@10/ar": 0.25, "dev/nDCG@10/group:low": float("nan")})
            run.finish({"test/nDCG@10/ar": 0.5, "test/nDCG@10/group:low": 0.125},
                       [SWEEP / "per_query.parquet"])
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    runs = read_offline(tmp_path)
    assert [run.id for run in runs] == ["run0", "run1", "run2"]
    run = runs[1]
    assert run.complete
    assert run.group == "demo"
    assert run.tags == ("a", "b")
    assert run.config == {
        "seed": 1,
        "objective": {"name": "optical", "epsilon": 0.05},
        "languages": {"low": ["ar", "fa"]},
    }
    assert run.code_version == {"commit": "abc", "dirty": False}
    assert [row["step"] for row in run.history] == [0, 1, 2, 3, 4]
    assert run.history[0] == {"step": 0, "train/loss": 0.5}
    assert run.history[4]["dev/nDCG@10/ar"] == 0.25
    assert run.summary["test/nDCG@10/group:low"] == 0.125
    assert run.summary["dev/nDCG@10/ar"] == 0.25
    assert {name: path.read_bytes() for name, path in run.files.items()} == {"per_query.parquet": b"rows"}
    assert run.damage.places == 0


def test_a_failed_run_is_not_complete(run_client: RunClient, tmp_path: Path) -> None:
    run_client("begin('run0').finish(exit_code=1)")
    assert [run.complete for run in read_offline(tmp_path)] == [False]


def test_the_axis_of_every_metric_is_our_step(run_client: RunClient, tmp_path: Path) -> None:
    from optical_sweeps.tracking.offline_log import OfflineLog

    run_client("begin('run0').finish()")
    (path,) = tmp_path.rglob("run-*.wandb")
    metrics = [record.metric for record in OfflineLog(path) if record.WhichOneof("record_type") == "metric"]
    assert [(metric.name or metric.glob_name, metric.step_metric) for metric in metrics] == [
        ("step", ""),
        ("*", "step"),
    ]


def test_the_key_is_not_written_to_any_file(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client("run = begin('run0'); run.log(0, {'train/loss': 1.0}); run.finish()", WANDB_API_KEY=KEY)
    assert done.stdout + done.stderr == ""
    assert b"train/loss" in everything_written(tmp_path)
    assert KEY.encode() not in everything_written(tmp_path)


def test_a_server_that_is_down_leaves_an_offline_run(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        run = begin("run0", mode="online", warn=print, init_timeout=2)
        run.log(0, {"train/loss": 1.0})
        run.finish({"test/nDCG@10/ar": 0.5})
        print(run.mode)
        """,
        WANDB_API_KEY=KEY,
        WANDB_BASE_URL=CLOSED_PORT,
    )
    assert done.stderr == ""
    warning, mode = done.stdout.splitlines()
    assert "this run is logged offline" in warning
    assert "wandb sync" in warning
    assert mode == "offline"
    (run,) = read_offline(tmp_path)
    assert run.complete
    assert run.summary["test/nDCG@10/ar"] == 0.5
    assert KEY not in done.stdout
    assert KEY.encode() not in everything_written(tmp_path)


@pytest.mark.parametrize(("key", "reason"), [("", "not logged in"), ("short", "invalid")])
def test_without_a_valid_key_the_run_goes_offline_without_a_prompt(
    run_client: RunClient, tmp_path: Path, key: str, reason: str
) -> None:
    done = run_client(
        "run = begin('run0', mode='online', warn=print); run.log(0, {'train/loss': 1.0}); run.finish()",
        WANDB_API_KEY=key,
        WANDB_BASE_URL=CLOSED_PORT,
    )
    assert done.stderr == ""
    (warning,) = done.stdout.splitlines()
    assert reason in warning
    assert [run.complete for run in read_offline(tmp_path)] == [True]


def test_auto_is_offline_without_a_login(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client("run = begin('run0', mode='auto', warn=print); run.finish(); print(run.mode)")
    assert done.stdout == "offline\n"


def test_a_dead_service_starts_a_new_fragment(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        import subprocess
        run = begin("run0", warn=print)
        log_until_on_disk(run, range(3))
        ps = ["ps", "-ww", "-eo", "pid,args"]
        lines = subprocess.run(ps, capture_output=True, text=True).stdout.splitlines()
        own = [line for line in lines if f"--pid {os.getpid()}" in line and "wandb-core" in line]
        mine = [line.split()[0] for line in own]
        for pid in mine:
            os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.5)
        for step in range(3, 6):
            run.log(step, {"train/loss": 1.0})
        run.finish({"test/nDCG@10/ar": 0.5})
        """,
    )
    assert done.returncode == 0
    (warning,) = done.stdout.splitlines()
    assert "continues offline" in warning
    (run,) = read_offline(tmp_path)
    assert run.complete
    assert [row["step"] for row in run.history] == [0, 1, 2, 3, 4, 5]
    assert run.summary["test/nDCG@10/ar"] == 0.5


def test_values_that_cannot_be_logged_are_left_out(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        run = begin("run0", warn=print)
        run.log(0, {"train/loss": 1.0})
        run.log(1, {3: 1.0})
        run.log(2, {"train/loss": 2.0})
        run.finish({"test/nDCG@10/ar": 0.5}, files=[SWEEP / "absent.parquet"])
        print("still here")
        """,
    )
    assert done.returncode == 0
    *warnings, last = done.stdout.splitlines()
    assert last == "still here"
    assert all(line.endswith("left out of the W&B run") for line in warnings)
    assert "absent.parquet" in warnings[-1]
    (run,) = read_offline(tmp_path)
    assert len(list(tmp_path.rglob("run-run0.wandb"))) == 1
    assert run.complete
    assert [row["train/loss"] for row in run.history if "train/loss" in row] == [1.0, 2.0]


def test_disabled_is_a_tracker_that_does_nothing(tmp_path: Path) -> None:
    tracker = tracker_for(WandbSettings(mode="disabled"))
    assert isinstance(tracker, NullTracker)
    tracker.start(run_id="r", group="g", job_type="train", name="n", config={}, folder=tmp_path / "r")
    tracker.log(0, {"train/loss": 1.0})
    tracker.finish({}, [])
    assert list(tmp_path.iterdir()) == []
    assert isinstance(tracker_for(WandbSettings(mode="offline")), WandbRun)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [({"mode": "on"}, "mode"), ({"project": ""}, "project"), ({"init_timeout": 0}, "init_timeout")],
)
def test_wrong_settings_name_their_key(wrong: dict[str, object], key: str) -> None:
    with pytest.raises(UserError, match=rf"logger\.{key}"):
        WandbSettings(**wrong)  # type: ignore[arg-type]


def test_runs_land_in_their_folders_wherever_the_process_goes(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        import os
        for name in ("first", "second"):
            (SWEEP / name).mkdir()
            os.chdir(SWEEP / name)
            run = WandbRun(WandbSettings(mode="offline"), warn=print)
            run.start(run_id=name, group="g", job_type="train", name=name, config={}, folder=Path("runs"))
            run.log(1, {"train/loss": 1.0})
            run.finish({"test/nDCG@10/ar": 0.5})
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {run.id: run.complete for run in read_offline(tmp_path)} == {"first": True, "second": True}


@pytest.mark.parametrize(
    "environment",
    [
        {"WANDB_SWEEP_ID": "x1y2z3", "WANDB_RUN_ID": "agents", "WANDB_SWEEP_PARAM_PATH": "sweep.yaml"},
        {
            "WANDB_LAUNCH": "true",
            "WANDB_RESUME_FROM": "another?_step=3",
            "WANDB_FORK_FROM": "another?_step=3",
            "WANDB_SYNC_TENSORBOARD": "true",
            "WANDB__FILES_DIR": "elsewhere",
            "WANDB_CONFIG_PATHS": "c.yaml",
        },
    ],
    ids=["agent", "launch"],
)
def test_a_run_keeps_its_own_id_and_project_in_the_environment_of_another(
    run_client: RunClient, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "sweep.yaml").write_text("seed: {value: 99}\n", encoding="utf-8")
    done = run_client(
        """
        run = begin("run0", warn=print, project="mine")
        run.log(1, {"train/loss": 1.0})
        run.finish({"test/nDCG@10/ar": 0.5})
        """,
        **environment,
    )
    assert done.stderr == ""
    (warning,) = done.stdout.splitlines()
    assert all(name in warning for name in environment)
    assert "logged under its own id, here run0" in warning
    (run,) = read_offline(tmp_path / "run0")
    assert (run.id, run.complete, run.config["seed"]) == ("run0", True, 1)
    assert run.summary["test/nDCG@10/ar"] == 0.5


def test_another_id_than_that_of_the_run_is_not_accepted(run_client: RunClient, tmp_path: Path) -> None:
    """A settings file of W&B's can name a sweep, too; then the client drops the id that it was given."""
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "settings").write_text("[default]\nsweep_id = x1y2z3\n", encoding="utf-8")
    done = run_client("run = begin('run0', warn=print); run.finish()")
    (warning,) = done.stdout.splitlines()
    assert "in place of optical-sweeps/run0" in warning
    assert warning.endswith("this run is not logged to W&B")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"project": "a/b"}, "logger.project: 'a/b' contains /, which W&B refuses"),
        ({"project": "p" * 129}, "logger.project: .* has 129 characters, and W&B accepts 128"),
        ({"tags": ["fine", ""]}, "logger.tags: a tag is empty"),
        ({"tags": ["t" * 65]}, "logger.tags: .* has 65 characters, and W&B accepts 64"),
        ({"entity": "team/project"}, "logger.entity: 'team/project' is not the name of a W&B user or team"),
    ],
)
def test_names_that_wandb_refuses_are_refused_at_once(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WandbSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("project", [*"/\\#?%: .,-_ü猫😀'\"", "p" * 128, "p" * 129, "a b", "x/y"])
def test_the_rules_for_projects_are_those_of_the_client(project: str) -> None:
    import wandb

    def accepts(make: Callable[..., object]) -> bool:
        try:
            make(project=project)
        except Exception:
            return False
        return True

    assert accepts(WandbSettings) == (accepts(wandb.Settings) and project.strip() != "")


@pytest.mark.parametrize("tag", ["", "t", "t" * 64, "t" * 65, "😀" * 64, "a,b", "猫 and dog"])
def test_the_rules_for_tags_are_those_of_the_client(tag: str) -> None:
    import wandb

    try:
        wandb.Settings(run_tags=[tag])
    except ValueError:
        with pytest.raises(UserError, match=r"logger\.tags"):
            WandbSettings(tags=[tag])  # type: ignore[arg-type]
    else:
        WandbSettings(tags=[tag])  # type: ignore[arg-type]


def test_a_long_name_of_a_corpus_is_shortened_to_a_tag(run_client: RunClient, tmp_path: Path) -> None:
    done = run_client(
        """
        run = WandbRun(WandbSettings(mode="offline"), print)
        run.start(run_id="r", group="g", job_type="train", name="n" * 200, config={}, folder=SWEEP / "r",
                  tags=["optical", "c" * 90, ""])
        run.finish()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (run,) = read_offline(tmp_path / "r")
    assert run.tags == ("optical", "c" * 61 + "...")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_TAGS", "t" * 65),
        ("WANDB_MODE", "sometimes"),
        ("WANDB_PROJECT", "a/b"),
        ("WANDB_CONSOLE", "loud"),
        ("WANDB_SILENT", "perhaps"),
        ("WANDB_BASE_URL", "nowhere"),
    ],
)
def test_variables_that_the_client_refuses_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(
        UserError, match=rf"^{name}: W&B's client refuses its value \(.*\); correct it or unset it"
    ):
        WandbSettings(mode="offline").check(group="demo")
    WandbSettings(mode="disabled").check(group="demo")


def test_a_sweep_whose_name_is_too_long_for_a_group_is_refused_at_once() -> None:
    settings = WandbSettings(mode="offline")
    settings.check(group="g" * 128)
    with pytest.raises(UserError, match=r"sweep\.name: .* has 129 characters, and W&B accepts 128 in a group"):
        settings.check(group="g" * 129)
    WandbSettings(mode="disabled").check(group="g" * 129)


class RunWithoutService:
    """A run of the client whose background process is gone, as after a SIGTERM to all processes of a job."""

    def __init__(self, fragment: Path) -> None:
        self.dir = str(fragment / "files")

    def finish(self, exit_code: int) -> None:
        raise ConnectionResetError("Connection lost")


@pytest.mark.parametrize(
    ("mode", "exit_code", "told"),
    [
        ("offline", EXIT_CODE, None),
        ("online", EXIT_CODE, None),
        ("offline", 0, "the end of this run's offline log may be missing"),
        ("online", 0, "synchronise it with `wandb sync --include-online"),
    ],
)
def test_an_interrupted_run_gives_no_advice_to_upload_it(tmp_path, monkeypatch, mode, exit_code, told):
    monkeypatch.setattr(wandb_run, "_abandon_service", lambda: None)
    fragment = tmp_path / "wandb" / "run-1-run0"
    fragment.mkdir(parents=True)
    warnings: list[str] = []
    run = WandbRun(WandbSettings(mode=mode), warnings.append)
    monkeypatch.setattr(run, "_folder", tmp_path)
    monkeypatch.setattr(run, "_run", RunWithoutService(fragment))
    run.mode = mode
    run.finish(exit_code=exit_code)
    assert len(warnings) == (told is not None)
    assert all(told in warning and "Connection lost" in warning for warning in warnings)
    assert (fragment / UNSENT).exists() == (mode == "online")  # `sweep sync` uploads the rest when it is done
