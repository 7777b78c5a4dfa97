"""Shapes and types of annotations are checked at run time in every test."""

import os

import jaxtyping

jaxtyping.install_import_hook("optical_sweeps", "beartype.beartype")

# No test reaches a network; libraries that would try fail at once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
