"""Composing many points gives what Hydra gives, for conf/ and for configs that are hard to compose."""

import json
import textwrap
from pathlib import Path

import pytest
import torch
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from optical_sweeps.errors import UserError
from optical_sweeps.runs.resolved_config import resolved
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.sweeps.compose import Composer
from optical_sweeps.sweeps.expand import expand
from optical_sweeps.sweeps.grid import Grid
from optical_sweeps.sweeps.grid_planning import Planner, plan_grid, plan_points
from optical_sweeps.sweeps.hydra_app import HydraApp, hydra_app

AXES = {
    "objective": ["objective=optical", "objective=contrastive", "objective=none"],
    "mixture": ["mixture=fixed_total", "mixture=fixed_high"],
    "solver": ["transport@objective.solver=sinkhorn", "transport@objective.solver=ipot"],
    "seed": [f"seed={value}" for value in (1, 2, 10, "1.5", "true", "null", "'1'", "word")],
    "mixture.seed": ["mixture.seed=5", "mixture.seed=${training.batch_size}"],
    "mixture.ratio": [f"mixture.ratio={value}" for value in (0, 0.25, "1.0", "1e-1", "-0", "nan", "2")],
    "mixture.multiple": [f"mixture.multiple={value}" for value in (0, 0.5)],
    "training.batch_size": ["training.batch_size=8", "training.batch_size=16"],
    "languages": ["languages.low=[ko]", "languages.low=[ko,fa]", "languages.high=[]"],
    "dict": ["training={batch_size:4}", "training={epochs:2}"],
    "added": ["+new.key=1", "++training.epochs=3", "++training.epochs=4", "~training.patience"],
    "text": ["sweep.name=one", "sweep.name='two words'", 'sweep.name="a,b"', "sweep.name=\\${seed}"],
    "environment": ["paths.artifacts=${oc.env:HOME}", "paths.artifacts=here"],
    "unknown": ["nothing.there=1", "training.epoch=1"],
    "missing": ["backbone=huggingface", "backbone=tiny"],
}


class CountingComposer(Composer):
    """Counts the compositions by Hydra, each point once: they take long."""

    def __init__(self, app: HydraApp) -> None:
        super().__init__(app.loader, app.master)
        self.compositions: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides):
        if tuple(overrides) not in self.compositions:
            self.compositions[tuple(overrides)] = super().compose(overrides)
        return self.compositions[tuple(overrides)]


def outcome(compose, overrides):
    """The config as text, which tells 1 from 1.0 and from true; or the error."""
    try:
        return json.dumps(compose(overrides), sort_keys=True)
    except (HydraException, OmegaConfBaseException, UserError) as error:
        return f"{type(error).__name__}: {error}"


@st.composite
def grids(draw) -> list[tuple[str, ...]]:
    """A product of some axes' values, in any order, some points twice; many are wrong somewhere."""
    keys = draw(st.lists(st.sampled_from(sorted(AXES)), unique=True, min_size=1, max_size=5))
    chosen = [draw(st.lists(st.sampled_from(AXES[key]), unique=True, min_size=1, max_size=2)) for key in keys]
    points: list[tuple[str, ...]] = [()]
    for texts in chosen:
        points = [(*point, text) for point in points for text in texts]
    return draw(st.permutations(points))[:5]


@given(grids())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_gives_what_hydra_gives(app, points):
    composer = CountingComposer(app)
    for point in points:
        expected = outcome(lambda overrides: resolved(composer.compose(overrides)), point)
        assert outcome(composer, point) == expected, point


def test_points_that_differ_in_values_take_one_composition(app):
    composer = CountingComposer(app)
    for objective in ("optical", "contrastive"):
        for ratio in range(20):
            for seed in range(5):
                point = (
                    f"objective={objective}",
                    f"mixture.ratio={ratio / 20}",
                    f"seed={seed}",
                    "training.epochs=2",
                )
                config = composer(point)
                assert (config["mixture"]["ratio"], config["mixture"]["seed"]) == (ratio / 20, seed)
    assert list(composer.compositions) == [("objective=optical",), ("objective=contrastive",)]


def test_a_mapping_given_to_a_group_is_merged_in_its_place_among_the_values(app):
    composer = CountingComposer(app)
    for size in (8, 16):
        point = (f"training.batch_size={size}", "training={batch_size:4}")
        assert composer(point) == resolved(composer.compose(point))


def test_points_do_not_share_their_configs(app):
    composer = CountingComposer(app)
    first = composer(("seed=1",))
    first["training"]["epochs"] = 99
    assert composer(("seed=2",))["training"]["epochs"] != 99


HARD = """
    defaults:
      - _self_
      - override hydra/sweeper: resumable
    a: 1
    b: ${a}
    c: ${b}
    tree: {left: '${a}', right: {deep: 2}}
    %s
    """


@pytest.mark.parametrize(
    ("extra", "points", "compositions"),
    [
        ("text: x", ["a=1", "a=2", "a=3"], 1),
        ("text: so-${a}", ["a=1", "a=2", "a=3"], 1),
        ("text: so-${c}", ["a=1", "a=2", "a=3"], 1),
        ("home: ${oc.env:HOME}/x", ["a=1", "a=2", "a=3"], 1),
        ("copy: ${tree}", ["tree.right.deep=1", "tree.right.deep=5"], 1),
        ("number: ${oc.decode:'3'}", ["a=1", "a=2"], 1),
        ("near: {x: 1, y: '${.x}'}", ["near.x=1", "near.x=2"], 1),
        ("items: [1, '${a}']", ["a=1", "a=2"], 1),
        ("'odd key': 1", ["a=1", "tree.left=4", "tree.left=5"], 1),
        ("needed: ???", ["a=1", "a=2", "needed=1", "needed=2"], 3),
        ("chosen: ${hydra.job.override_dirname}", ["a=1", "a=2"], 3),
    ],
)
def test_interpolations(tmp_path, extra, points, compositions):
    """A point that refers to Hydra's own section, or whose error Hydra must report, is composed by Hydra."""
    Path(tmp_path, "hard.yaml").write_text(textwrap.dedent(HARD) % extra)
    with hydra_app("hard", str(tmp_path)) as app:
        composer, reference = CountingComposer(app), CountingComposer(app)
        for point in points:
            expected = outcome(lambda overrides: resolved(reference.compose(overrides)), [point])
            assert outcome(composer, [point]) == expected, point
    assert len(composer.compositions) == compositions


SMALL = (
    "data=synthetic", "languages=synthetic", "backbone=tiny", "data.lexicon_size=60", "data.topics=20",
    "data.documents_per_topic=1", "mixture.total=40",
)  # fmt: skip
SMALL_AXES = {
    "objective": ("optical", "contrastive", "none"),
    "mixture.ratio": ("0", "0.5", "1.0", "1", "2"),
    "mixture.total": ("20", "30", "100000"),
    "seed": ("1", "2", "1.0", "-1"),
    "training.freeze_layers": ("0", "1", "9"),
    "languages.low": ("[fusing]", "[distant]", "[klingon]"),
    "logger": ("wandb", "disabled"),
    "training.log_every": ("1", "0"),
}


@given(
    st.dictionaries(st.sampled_from(sorted(SMALL_AXES)), st.integers(0, 4), min_size=1, max_size=4).map(
        lambda chosen: {key: SMALL_AXES[key][: 1 + number] for key, number in chosen.items()}
    )
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_planned_runs_are_those_of_each_point_alone(app, axes):
    """The same runs, and of a bad grid the same first error."""
    params = {key: ",".join(values) for key, values in axes.items()}
    points = expand(params, SMALL, app.loader)[:12]
    composer = CountingComposer(app)
    expected: list[str] = []
    error = None
    for point in points:
        try:
            spec = RunSpec.from_config(composer.compose(point))
            spec.check()
        except UserError as raised:
            error, suffix = str(raised), f" [grid point: {' '.join(point)}]"
            break
        expected.append(spec.id)
    if error is None:
        assert [each.point.run for each in plan_points(points, Planner(composer))] == expected
    else:
        with pytest.raises(UserError) as raised:
            plan_points(points, Planner(composer))
        assert str(raised.value).removesuffix(suffix) == error


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"seed": "1,2", "training.epochs": "0"}, False),
        ({"seed": "1,2", "training.epochs": "0,1"}, True),
        ({"training.epochs": "0"}, False),
        ({"objective": "none,contrastive", "mixture.ratio": "0,2"}, True),
    ],
)
def test_an_error_names_its_point_unless_it_depends_on_no_swept_value(app, bad, named):
    points = expand(bad, SMALL, app.loader)
    with pytest.raises(UserError) as raised:
        plan_points(points, Planner(CountingComposer(app)))
    assert str(raised.value).endswith("]") == named


def test_a_grid_for_slurm_is_not_checked_against_the_devices_here(monkeypatch):
    """A login node has no GPU; the task that performs the run checks the devices."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    wanted = [*SMALL, "machine.accelerator=gpu", "training.precision=16-mixed"]

    def planned(*more: str) -> Grid:
        with hydra_app("train", None, [*wanted, *more]) as app:
            return plan_grid(app.master, app.loader, app.overrides).grid

    assert len(planned("hydra/launcher=slurm_gpu").runs) == 1
    with pytest.raises(UserError, match="gpu, but torch sees none"):
        planned()
