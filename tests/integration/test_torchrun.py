"""Two processes that `torchrun` starts do one run together, and another after it."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = """
    import json, os, sys
    from pathlib import Path
    from hydra import compose, initialize_config_dir
    from optical_sweeps.cli import conf_folder
    from optical_sweeps.runs.run_folder import RunFolder
    from optical_sweeps.sweeps.run_id_resolver import register_resolvers
    from optical_sweeps.runs.spec.run_spec import RunSpec
    from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
    sys.path.insert(0, sys.argv[1])
    from kills import SMALL
    register_resolvers()
    for objective in sys.argv[2].split(","):
        overrides = [*SMALL, "backbone.dropout=0", "logger=disabled", f"objective={objective}", *sys.argv[3:]]
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            spec = RunSpec.from_config(compose("train", overrides))
        folder = RunFolder(spec.folder)
        did = [RetrievalRun(spec.config).perform(folder), RetrievalRun(spec.config).perform(folder)]
        record = folder.record()
        found = {"did": did, "test": record["measures"]["test"]["nDCG@10"], "training": record["training"]}
        found["rows"] = folder.metrics_path.read_text().count("train/loss")
        name = f"{objective}-{os.environ.get('RANK', 'alone')}.json"
        Path(name).write_text(json.dumps(found))
"""
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("teacher", "objectives"), [("stored", ["optical", "contrastive", "none"]), ("online", ["optical"])]
)
def test_two_do_what_one_does(tmp_path, environment, teacher, objectives):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for launcher, devices in (([], 1), (torchrun, 2)):
        folder = tmp_path / str(devices)
        folder.mkdir()
        overrides = (f"machine.devices={devices}", f"training.teacher={teacher}")
        arguments = (str(program), str(BENCHMARKS), ",".join(objectives), *overrides)
        done = subprocess.run(
            [sys.executable, *launcher, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(folder.glob("artifacts/english/*/hashes.npy")) == [] or teacher == "stored"
    for objective in objectives:
        alone = json.loads((tmp_path / "1" / f"{objective}-alone.json").read_text())
        ranks = [json.loads((tmp_path / "2" / f"{objective}-{rank}.json").read_text()) for rank in (0, 1)]
        assert ranks[0] == ranks[1]
        assert ranks[0].pop("test") == pytest.approx(alone.pop("test"), abs=0.02)
        assert ranks[0] == alone
        assert alone["did"] == [True, False]
