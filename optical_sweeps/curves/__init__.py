"""From the logs of runs to tidy tables, curves with intervals, laws, claims and figures (docs/howto/curves.md).

A library: it needs no torch, Lightning, Hydra or W&B. A run is any object with the attributes of
`tables.result_tables.LoggedRun`.
"""
