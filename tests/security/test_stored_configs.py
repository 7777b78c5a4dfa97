"""A stored config is data: no class, function, shell text or path of it runs code or leaves its folder."""

import json
import sys
from pathlib import Path

import pytest

from optical_sweeps import config_classes
from optical_sweeps.errors import UserError
from optical_sweeps.runs.distillation.query_encoders import finished_run
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.run import build_run
from optical_sweeps.runs.run_folder import RunFolder
from optical_sweeps.settings import build
from optical_sweeps.slurm.batch_script import script_text
from optical_sweeps.slurm.slurm_settings import SlurmSettings
from optical_sweeps.slurm.submission import submit_again
from optical_sweeps.slurm.submission_plan import FOLDER, Submission, create
from optical_sweeps.sweeps.grid import Grid, GridPoint
from optical_sweeps.sweeps.trusted_grid import Trust
from tests.support.configs import compose

FIXED = {"_target_": "optical_sweeps.corpora.mixture.FixedTotal", "total": 8, "ratio": 0.5}
SOLVER = {"_target_": "optical_sweeps.transport.Sinkhorn"}


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch):
    monkeypatch.setattr(config_classes, "_allowed", set())


@pytest.fixture
def foreign(tmp_path, monkeypatch) -> str:
    """A class whose module leaves a file when it is imported."""
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Thing:\n    pass\n"
    (tmp_path / "stranger.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("stranger", None)
    return "stranger.Thing"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "pandas.read_pickle",
        "joblib.load",
        "builtins.exec",
        "subprocess.Popen",
        "optical_sweeps.sweeps.slurm._call",
        "optical_sweeps.slurm.slurm_commands._call",
        "optical_sweeps.slurm.slurm_commands.subprocess",
        "optical_sweeps.runs.run_folder.FileLock",
        "optical_sweeps.runs.run_folder.RunFolder",
        "optical_sweeps.cli.importlib",
        "optical_sweeps.__main__.main",
        "optical_sweeps.config_classes.Path",
        "optical_sweeps..settings.T",
        "optical_sweeps.",
        "",
        7,
        None,
    ],
)
@pytest.mark.parametrize("extra", [{}, {"_args_": [["touch", "ran"]]}, {"_partial_": True}])
def test_no_other_callable_is_built(target, extra, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ({"_target_": target, **extra}, {**FIXED, "seed": {"_target_": target, **extra}}):
        with pytest.raises(UserError, match="mixture"):
            build("mixture", place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", config_classes.SPECIAL_KEYS)
def test_hydras_special_keys_are_refused(key):
    with pytest.raises(UserError, match=f"mixture.{key}: Hydra's special keys are not supported"):
        build("mixture", {**FIXED, key: True})


def test_a_class_of_another_group_is_refused():
    with pytest.raises(UserError, match=r"mixture._target_: Sinkhorn describes solver"):
        build("mixture", SOLVER)
    with pytest.raises(UserError, match=r"objective\.solver"):
        build("objective", {"_target_": "optical_sweeps.objectives.Optical", "dim": 8, "solver": FIXED})


def test_interpolations_of_a_stored_config_are_text():
    with pytest.raises(UserError, match=r"mixture.weighting: '\$\{oc.env:HOME\}'"):
        build("mixture", {**FIXED, "weighting": "${oc.env:HOME}"})


def test_a_foreign_class_needs_the_users_word(foreign, tmp_path):
    with pytest.raises(
        UserError, match=r"allow_foreign_classes=\[stranger.Thing\].*--allow-foreign-class stranger.Thing"
    ):
        build("mixture", {"_target_": foreign})
    assert not (tmp_path / "ran").exists()
    config_classes.allow_foreign_classes([foreign])
    assert type(build("mixture", {"_target_": foreign})).__name__ == "Thing"
    assert (tmp_path / "ran").exists()


def test_the_type_of_a_run_is_no_way_in(foreign, tmp_path):
    with pytest.raises(UserError, match=r"run_type: stranger\.Thing"):
        build_run({"run_type": foreign})
    assert not (tmp_path / "ran").exists()


def test_what_a_record_allowed_its_reader_has_not(foreign, tmp_path):
    config = resolved(compose("train"))
    config |= {"allow_foreign_classes": [foreign], "data": {"_target_": foreign}}
    folder = RunFolder(tmp_path / "0123456789ab")
    folder.write_record({"id": "0123456789ab", "label": "x", "config": config})
    command = resolved(compose("evaluate")) | {"run": folder.path}
    with pytest.raises(UserError, match=r"data._target_: stranger.Thing.*allow_foreign_classes"):
        finished_run(command)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match=r"data._target_: Thing is not a corpus"):
        finished_run({**command, "allow_foreign_classes": [foreign]})


@pytest.mark.parametrize(
    "override",
    [
        "hydra.callbacks.x._target_=os.system",
        "+hydra.callbacks.x={_target_: os.system}",
        "++hydra.job_logging.handlers.x.class=os.system",
        "hydra/launcher=basic",
        "hydra={job: {name: x}}",
        "transport@hydra.callbacks.x=exact",
        "~hydra.callbacks",
        "seed=${oc.env:HOME}",
        "seed='a ${oc.env:HOME}'",
        r"seed=$\{oc.env:HOME\}",
        "objective=../../../tmp/evil",
        "objective=[optical,../../../tmp/evil]",
        "not an override",
        "=1",
    ],
)
def test_a_grid_stores_values_and_choices_only(override, tmp_path):
    with pytest.raises(UserError, match=r"a grid|an option of a group"):
        GridPoint((override,), "a", "a")
    point = {"overrides": [override], "run": "a", "label": "a", "note": None}
    content = {"schema": 3, "config": "train", "config_dir": None, "points": [point]}
    (tmp_path / "grid.json").write_text(json.dumps(content))
    with pytest.raises(UserError):
        Grid.load(tmp_path)


@pytest.mark.parametrize(
    "override", ["transport@objective.solver=ipot", "+a.b/c=1", "seed=${other.seed}", "~x", "a.b=../c"]
)
def test_ordinary_overrides_stay(override):
    assert GridPoint((override,), "a", "a").overrides == (override,)


@pytest.mark.parametrize(
    "run", ["../../../../etc", "/etc", "..", ".", "", "a/b", "a\nb", "-rf", ".hidden", "x" * 65]
)
def test_a_run_id_is_a_folder_name(run, tmp_path):
    point = {"overrides": ["seed=1"], "run": run, "label": "a", "note": None}
    content = {"schema": 3, "config": "train", "config_dir": None, "points": [point]}
    (tmp_path / "grid.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="run id"):
        Grid.load(tmp_path)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "", None, 3])
def test_the_root_config_of_a_grid_stays_in_its_folder(name, tmp_path):
    content = {"schema": 3, "config": name, "config_dir": None, "points": []}
    (tmp_path / "grid.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is not a name"):
        Grid.load(tmp_path)


@pytest.mark.parametrize("key", ["schema", "config", "config_dir", "points"])
def test_a_grid_without_a_key_is_one_line(key, tmp_path):
    """Found by fuzzing: a grid without `config_dir` raised KeyError."""
    content = {"schema": 3, "config": "train", "config_dir": None, "points": []}
    del content[key]
    (tmp_path / "grid.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"grid\.json: not a sweep's grid \('{key}'\)"):
        Grid.load(tmp_path)


def test_a_grid_with_own_configs_needs_them_named_again(tmp_path):
    grid = Grid(tmp_path, (GridPoint(("seed=1",), "a", "a"),), config_dir=str(tmp_path / "conf"))
    with pytest.raises(UserError, match=f"--config-dir {tmp_path / 'conf'}"):
        Trust().check(grid, ["a"])
    Trust(str(tmp_path / "conf")).check(grid, ["a"])
    Trust(str(tmp_path / "moved")).check(grid, ["a"])  # the user's choice, also if the folder was moved


@pytest.mark.parametrize("key", ["allow_foreign_classes", "+allow_foreign_classes", "++allow_foreign_classes"])
def test_a_grid_with_foreign_classes_needs_them_named_again(key, tmp_path):
    grid = Grid(tmp_path, (GridPoint((f"{key}=[stranger.Thing]",), "a", "a"),))
    with pytest.raises(
        UserError, match=r"grid\.json: allow_foreign_classes: stranger\.Thing .*--allow-foreign-class"
    ):
        Trust().check(grid, ["a"])
    assert not config_classes.is_allowed("stranger.Thing")
    Trust(classes=("stranger.Thing",)).check(grid, ["a"])
    assert config_classes.is_allowed("stranger.Thing")


def test_the_list_of_foreign_classes_is_not_changed_in_another_way(tmp_path):
    grid = Grid(tmp_path, (GridPoint(("allow_foreign_classes.0=stranger.Thing",), "a", "a"),))
    with pytest.raises(UserError, match="write it as"):
        Trust(classes=("stranger.Thing",)).check(grid, ["a"])


CODE = {
    "setup": ["touch /tmp/ran"],
    "prefix": "env",
    "python": "/tmp/python",
    "environment": {"LD_PRELOAD": "/tmp/x.so"},
    "sbatch": ["--export=ALL"],
}


@pytest.fixture
def plan(tmp_path) -> Path:
    settings = SlurmSettings(**CODE, partition="low")
    submission = create(tmp_path, [["a"]], settings, [], prepares=False, tasks_per_array=5, started_in="/")
    return submission.folder / "plan.json"


def test_a_plan_has_no_setting_that_runs_code(plan):
    text = plan.read_text()
    assert not [value for value in ("touch", "LD_PRELOAD", "/tmp/python", "--export") if value in text]
    stored = Submission.load(plan.parent)
    assert stored.settings == SlurmSettings(partition="low")
    assert stored.from_config == tuple(CODE)
    with pytest.raises(
        UserError, match=r"hydra.launcher.setup.*name it again, such as hydra/launcher=slurm_cpu"
    ):
        submit_again(plan.parents[2], ["a"])


@pytest.mark.parametrize("name", CODE)
def test_a_plan_that_adds_such_a_setting_is_refused(plan, name):
    content = json.loads(plan.read_text())
    content["launcher"][name] = CODE[name]
    plan.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"a plan has no {name}"):
        Submission.load(plan.parent)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("packs", [["../../etc"]]),
        ("packs", 3),
        ("jobs", [{"job": "1; rm", "first": 0, "count": 1, "role": "array"}]),
        ("jobs", [{"job": "--all", "first": 0, "count": 1, "role": "array"}]),
        ("jobs", [{"first": 0}]),
        ("launcher", {"partition": "a\nb"}),
        ("launcher", {"unknown": 1}),
        ("launcher", {"prepare": {"setup": ["touch x"]}}),
        ("launcher", []),
    ],
)
def test_a_broken_plan_is_one_line(plan, key, value):
    plan.write_text(json.dumps({**json.loads(plan.read_text()), key: value}))
    with pytest.raises(UserError, match=r"plan.json: not the plan"):
        Submission.load(plan.parent)


def test_secrets_of_the_environment_are_in_no_file(tmp_path):
    key = "0123456789abcdef" * 2 + "01234567"
    settings = SlurmSettings(environment={"WANDB_API_KEY": key, "PLAIN": "shown"})
    submission = create(tmp_path, [["a"]], settings, [], prepares=False, tasks_per_array=5, started_in="/")
    assert settings.secrets == {"WANDB_API_KEY": key}
    for path in submission.folder.parent.rglob("*"):
        assert path.is_dir() or key not in path.read_text()
    assert "export PLAIN=shown" in submission.script.read_text()
    assert submission.script.stat().st_mode & 0o077 == 0
    assert FOLDER in str(submission.script)


def test_what_the_tasks_accept_stands_quoted_in_their_script(tmp_path):
    options = Trust(str(tmp_path / "a b"), ("x.Y",)).options()
    text = script_text(SlurmSettings(), tmp_path, 1, options)
    assert f"sweep work {tmp_path} --config-dir '{tmp_path / 'a b'}' --allow-foreign-class x.Y" in text
