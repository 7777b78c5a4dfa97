"""From the logs of runs to tidy tables, curves with intervals, laws, tests and figures; docs/curves.md.

Needs no torch, Lightning, Hydra or W&B: a run is anything with the attributes of `table.LoggedRun`.
"""
