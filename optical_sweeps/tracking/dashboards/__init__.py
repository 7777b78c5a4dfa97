"""Dashboards as code: a W&B workspace and a W&B report that show what the runs of a sweep logged.

`logged_sweep` collects what the runs logged, `sections` decides what to show, `views` expresses it as W&B
objects, and `saving` sends them to the service. Only `saving` needs network access.
"""
