"""To and from Weights & Biases: one W&B run per run, and its logs read back.

Writing: `tracker.Tracker` (interface), `wandb_run.WandbRun`, `settings.WandbSettings`, `usage.Usage`.
Reading: `sources.read_wandb`, `read_offline`, `read_records`; all give `run_log.RunLog`, whatever the tracker.
"""
