"""Programs that log with the real W&B client, each in its own process."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

RunClient = Callable[..., subprocess.CompletedProcess[str]]

PREAMBLE = """
import os, signal, sys, time
from pathlib import Path
from optical_sweeps.tracking.wandb_settings import WandbSettings
from optical_sweeps.tracking.wandb_run import WandbRun

SWEEP = Path(sys.argv[1])
CONFIG = {"seed": 1, "objective": {"name": "optical", "epsilon": 0.05}, "languages": {"low": ["ar", "fa"]}}

def begin(run_id, mode="offline", warn=None, config=CONFIG, **settings):
    run = WandbRun(WandbSettings(mode=mode, flush_interval=0.1, **settings), warn)
    run.start(run_id=run_id, group="demo", job_type="train", name=f"name of {run_id}", config=config,
              folder=SWEEP / run_id, tags=("a", "b"), code_version={"commit": "abc", "dirty": False})
    return run

def log_until_on_disk(run, steps):
    for step in steps:
        run.log(step, {"train/loss": 1 / (step + 1)})
    while rows_on_disk() < len(steps):
        time.sleep(0.2)

def tell_server(what):
    import json, urllib.request  # the answer is how many rows arrived
    with urllib.request.urlopen(f"{os.environ['WANDB_BASE_URL']}/test/{what}") as answer:
        return json.loads(answer.read())

def wait_for_server(rows):
    while tell_server("rows") < rows:
        time.sleep(0.05)

def rows_on_disk():
    from optical_sweeps.tracking.fragments import read_fragment  # of a log that is still written to
    logs = [path for path in SWEEP.rglob("run-*.wandb") if path.stat().st_size]
    return sum(len(read_fragment(path).history) for path in logs)
"""


def client_in(folder: Path) -> RunClient:
    """Runs programs in a folder, as a user without any W&B setup."""
    (folder / "home").mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    clean |= {"HOME": str(folder / "home"), "NETRC": str(folder / "home/.netrc")}

    def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(program), str(folder)],
            capture_output=True,
            text=True,
            env={**clean, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
            cwd=folder,
            timeout=120,
            check=False,
        )

    return run
