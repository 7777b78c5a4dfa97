"""Dashboards as code: what a sweep logged, as a W&B workspace and a W&B report.

`logged.Logged` is what runs say of themselves, `sections.sections` what to show of it, `views` the same in
W&B's terms, `saving.save` puts it on the service. Only the last needs a network.
"""
