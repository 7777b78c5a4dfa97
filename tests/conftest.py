"""Shapes and types of annotations are checked at run time in every test."""

import os
import signal
import sys

import hypothesis
import jaxtyping
import pytest

# A busy machine is no failure, and a change is judged by the same examples as the one before it.
# HYPOTHESIS_PROFILE=search draws new ones.
BUSY = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("same", derandomize=True, database=None, **BUSY)
hypothesis.settings.register_profile("search", **BUSY)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; tests of Ctrl-C send it
    signal.signal(signal.SIGINT, signal.default_int_handler)

jaxtyping.install_import_hook("optical_sweeps", "beartype.beartype")

# No test reaches a network; libraries that would try fail at once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"


@pytest.fixture(autouse=True)
def same_draws():
    """Tests that draw from torch's own generator draw the same alone and after others."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def denormals_as_they_were():
    """A run in this process flushes denormals; the tests that follow draw them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)
