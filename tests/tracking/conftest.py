"""Programs that log with the real W&B client, each in its own process."""

from pathlib import Path

import pytest

from tests.support.wandb_client import RunClient, client_in


@pytest.fixture
def run_client(tmp_path: Path) -> RunClient:
    """Runs a program in its own process, with `begin`, `log_until_on_disk` and SWEEP = `tmp_path`."""
    return client_in(tmp_path)
