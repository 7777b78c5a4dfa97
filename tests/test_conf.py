"""Every YAML under conf/ composes, and every part that it describes can be built."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from optical_sweeps.cli import conf_folder
from optical_sweeps.commands.registry import COMMANDS
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.settings import build
from tests.support.configs import compose

CONF = conf_folder()
ROOTS = sorted({command.config for command in COMMANDS.values() if command.config})
FILES = (
    "docs.tsv.gz",
    "da/bitext.train.tsv.gz",
    "da/queries.dev.tsv",
    "da/queries.test.tsv",
    "da/qrels.dev.txt",
    "da/qrels.test.txt",
)
PAPER_FILES = (
    "docs.jsonl.gz",
    "msmarco.pairs.tsv.gz",
    "qrels.dev.txt",
    "qrels.test.txt",
    "bitext/da.tsv.gz",
    "da/topics.dev.tsv",
    "da/topics.test.tsv",
)


def _options() -> list[tuple[str, str]]:
    files = (path.relative_to(CONF) for path in sorted(CONF.rglob("*.yaml")))
    return [(str(path.parent), path.stem) for path in files if str(path.parent) != "."]


@pytest.fixture
def required(tmp_path) -> dict[tuple[str, str], list[str]]:
    """Values that a user must set."""
    for name in (*FILES, *PAPER_FILES):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return {
        ("data", "files"): [f"data.root={tmp_path}", "data.languages=[da]"],
        ("experiment", "debian"): [f"data.root={tmp_path}", "data.languages=[da]"],
        ("experiment", "debian_ratio"): [f"data.root={tmp_path}", "data.languages=[da]"],
        ("experiment", "optical_paper"): [f"data.root={tmp_path}", "data.languages=[da]"],
        ("backbone", "huggingface"): ["backbone.name=some/model"],
        ("student", "checkpoint"): ["student.checkpoint=multirun/demo/0123456789ab"],
        ("teacher", "colbert"): ["teacher.path=models/colbert"],
        ("teacher", "triples"): [f"teacher.triples.path={tmp_path / FILES[1]}"],
    }


@pytest.mark.parametrize("root", ROOTS)
def test_the_config_of_every_command_composes(root):
    assert compose(root)


@pytest.mark.parametrize(("group", "name"), _options(), ids=lambda value: value)
def test_every_option_composes_and_builds(group, name, required):
    if group in ("hydra/launcher", "hydra/sweeper"):
        assert compose("train", f"{group}={name}", with_hydra=True).hydra[group.removeprefix("hydra/")]._target_
        return
    if group.startswith("hydra"):
        assert OmegaConf.load(CONF / group / f"{name}.yaml").version == 1
        return
    if group == "search_space":
        assert name in compose("tune").search_space  # tests/tuning reads each
        return
    if group.startswith("tuned_studies"):
        assert compose("train", f"experiment={Path(group).name}", f"objective={name}").tuned.scores
        return
    if group == "translator":
        assert build(group, resolved(compose("compare", f"translator={name}"))["translator"]).name
        return
    if group == "search":
        for command in ("evaluate", "search"):
            assert build(group, resolved(compose(command, f"search={name}"))["search"]).name == name
        return
    if group == "transport":
        config = compose("train", f"transport@objective.solver={name}")
    else:
        config = compose("train", f"{group}={name}", *required.get((group, name), []))
    assert RunSpec.from_config(config).objective.name


def test_the_configs_are_beside_the_package():
    """In a checkout; the wheel test covers the installed package."""
    assert (CONF / "train.yaml").is_file()
    assert Path(CONF).name == "conf"
