"""Which settings of a new submission differ from those of the runs that are in the queue already."""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from optical_sweeps.slurm.batch_script import script_text
from optical_sweeps.slurm.slurm_settings import RUNS_CODE, SlurmSettings
from optical_sweeps.slurm.submission_plan import Submission

NOT_OF_JOBS = {"wait", "poll_seconds", "max_submit", "parallelism", "points_per_task"}
"""Settings that change no job: they say how runs are divided into jobs, and how this program waits."""
IN_SCRIPT = ("setup", "prefix", "python", "environment")
"""Settings that a plan does not store, but that its batch script shows."""

_ANY = "\0"
"""Placeholder of the options that accept a grid's classes, which depend on its points."""


def changed_settings(queued: Iterable[Submission], settings: SlurmSettings) -> list[str]:
    """The names of settings that differ from those of submissions in the queue."""
    names: dict[str, None] = {}
    for submission in queued:
        before, now = submission.settings.resources(), settings.resources()
        names |= dict.fromkeys(key for key in now if key not in NOT_OF_JOBS and before[key] != now[key])
        names |= dict.fromkeys(_changed_code(submission, settings))
    return list(names)


def _changed_code(submission: Submission, settings: SlurmSettings) -> list[str]:
    """The settings that decide what runs in the jobs and differ, as far as the submission's files show it."""
    now = settings.code_settings
    if names := [key for key in RUNS_CODE if (key in submission.from_config) != (key in now)]:
        return names
    chosen = {key: getattr(settings, key) for key in IN_SCRIPT}
    longest = max(map(len, submission.packs))
    expected = script_text(replace(submission.settings, **chosen), submission.folder, longest, [_ANY])
    before, _, after = expected.partition(shlex.quote(_ANY))
    with suppress(OSError):  # another user's script
        script = submission.script.read_text(encoding="utf-8")
        if not (script.startswith(before) and script.endswith(after)):
            return [key for key in IN_SCRIPT if key in now] or ["python"]
    return []
