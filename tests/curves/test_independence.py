import subprocess
import sys


def test_curves_need_no_lightning_hydra_or_wandb_and_load_pandas_and_matplotlib_late() -> None:
    program = """
import sys
import optical_sweeps.curves.table, optical_sweeps.curves.bootstrap
import optical_sweeps.curves.figures, optical_sweeps.curves.report_table
heavy = {"lightning", "hydra", "wandb", "torch", "pandas", "matplotlib", "transformers"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
