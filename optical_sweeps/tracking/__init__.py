"""Logging to Weights & Biases, one W&B run per run, and reading the logs back.

Writing: `tracker.Tracker` (interface), `wandb_run.WandbRun`, `wandb_settings.WandbSettings`, `usage.Usage`.
Reading: `sources.read_wandb`, `read_offline` and `read_records`, which all return `run_log.RunLog`.
"""
