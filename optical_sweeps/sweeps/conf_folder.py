"""The folder of the package's Hydra configs."""

from pathlib import Path


def conf_folder() -> Path:
    """`conf/`: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
