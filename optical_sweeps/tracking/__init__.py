"""To and from Weights & Biases: one W&B run per run, and its logs read back.

Writing: `tracker.Tracker` (interface), `wandb_run.WandbRun`.
Reading: `sources.read_offline`, `sources.read_records`; both give `run_log.RunLog`, which names no tracker.
"""
