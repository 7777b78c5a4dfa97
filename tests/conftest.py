"""Settings of every test: annotations are checked at run time, and no test reaches a network."""

import os
import signal
import sys

import hypothesis
import jaxtyping
import pytest

# Parallel workers would compete for the cores. torch reads the variable when it is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure, and every run tests the same examples. HYPOTHESIS_PROFILE=search draws new ones,
# and quick (make test) tests a fifth of them.
BUSY = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("same", derandomize=True, database=None, **BUSY)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("same"), max_examples=20)
hypothesis.settings.register_profile("search", **BUSY)
# A killed mutant needs no smallest example (.ci/mutants.py).
PHASES = {"phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate]}
hypothesis.settings.register_profile("unshrunk", derandomize=True, database=None, **PHASES, **BUSY)
hypothesis.settings.register_profile("few", hypothesis.settings.get_profile("unshrunk"), max_examples=10)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# A shell's background job ignores SIGINT, which tests of Ctrl-C send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

jaxtyping.install_import_hook("optical_sweeps", "beartype.beartype")

# cli.main() in a test's process does not change how other tests start Python.
os.environ.setdefault("PYTHONSAFEPATH", "")

# Libraries that try to reach a network fail immediately.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

SLOW = (
    "commands/test_claims_and_figures.py::test_budgets_are_strata_and_an_axis",
    "commands/test_claims_and_figures.py::test_both_commands",
    "commands/test_claims_and_figures.py::test_figures_are_reproducible_to_the_byte",
    "commands/test_search_and_evaluate.py::test_a_query_is_searched",
    "commands/test_search_and_evaluate.py::test_a_search_whose_reader",
    "corpora/test_packed_bitext.py::test_a_killed_packing_leaves_no_process",
    "corpora/test_packed_bitext.py::test_packing_takes_little_memory",
    "corpora/test_packed.py::test_memory",
    "corpora/test_recipes.py",
    "corpora/test_triples.py::test_memory",
    "corpora/test_tydiqa_robustness.py::test_the_recipe",
    "curves/figures/test_contrast_figures.py",
    "curves/figures/test_curve_figures.py::test_files_are_identical",
    "curves/laws/test_fitted_curve.py::test_intervals_cover",
    "curves/laws/test_law_selection.py::test_the_law_that",
    "curves/statistics/test_study.py::test_intervals_cover",
    "encoders/test_backbone_families.py",
    "encoders/test_e5_backbone.py::test_weights",
    "integration/browser/",
    "integration/test_any_lightning_module.py",
    "integration/test_backbone_training.py",
    "integration/test_bad_input.py::test_a_process_prints",
    "integration/slurm/",
    "integration/test_compare.py",
    "integration/test_examples.py",
    "integration/test_expected_scores.py",
    "integration/test_interruptions.py",
    "integration/test_kills.py",
    "integration/test_locales.py",
    "integration/test_other_users.py",
    "integration/test_perturbed.py",
    "integration/test_pylate.py",
    "integration/test_sweep.py::test_a_deleted",
    "integration/test_sweep.py::test_a_killed_run",
    "integration/test_sweeper.py::test_a_failure",
    "integration/test_sweeper.py::test_retry",
    "integration/test_sweeper.py::test_ctrl_c",
    "integration/test_sweeper.py::test_hydras_own",
    "integration/test_sweeper.py::test_joblib",
    "integration/test_sweeper.py::test_sigterm",
    "integration/test_sweeper.py::test_two_processes",
    "integration/test_synchronised.py",
    "integration/test_torchrun.py",
    "integration/test_tuning.py",
    "integration/test_wheel.py",
    "objectives/test_devices.py",
    "runs/test_searches.py",
    "runs/shared/test_prepare.py::test_a_signal_is_obeyed_wherever_it_arrives",
    "runs/shared/test_trained_teacher.py::test_a_run_with_a_loaded_teacher_and_its_student_exported",
    "runs/test_students.py",
    "sweeps/test_hydra_folders.py",
    "sweeps/test_compose.py::test_it_gives",
    "sweeps/test_compose.py::test_planned_runs",
    "test_artifacts.py::test_fifty_kills_of_tokens_index_and_checkpoint_change_nothing",
    "test_gpu_benchmark.py",
    "test_import_lightness.py",
    "test_notebooks.py",
    "tracking/test_online.py",
    "tracking/test_service.py::test_a_server_without_an_answer",
    "training/test_devices.py",
    "training/test_resuming.py",
    "transport/test_threads.py::test_works_without",
)
"""Tests marked `slow`, by the start of their ids: they take long, or need another program."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def seeded_torch():
    """Seed torch's global generator, so that a test draws the same numbers alone and after other tests."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def denormals_kept():
    """Undo the flushing of denormals after a run in this process, because later tests draw denormals."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(autouse=True)
def no_lines_about_slow_work(monkeypatch):
    """Stop the clock that counts the seconds of long work: a busy machine prints no further lines."""
    if console := sys.modules.get("optical_sweeps.console"):
        monkeypatch.setattr(console, "monotonic", lambda: 0.0)


@pytest.fixture(autouse=True)
def own_bitext_cache(request: pytest.FixtureRequest):
    """Pack bitext in the test's own folder if the test names none."""
    if packed_bitext := sys.modules.get("optical_sweeps.corpora.packed_bitext"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed_bitext, "CACHE", request.getfixturevalue("tmp_path") / "packed bitext")
            yield
    else:
        yield
