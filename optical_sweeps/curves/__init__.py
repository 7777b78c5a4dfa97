"""Logs to curves to pictures: `table` (tidy results), `bootstrap` (intervals), `figures`, `report_table`.

Needs no Lightning, Hydra or W&B: a run is anything with the attributes of `table.LoggedRun`.
"""
