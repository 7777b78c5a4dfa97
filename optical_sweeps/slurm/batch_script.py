"""The batch script of a submission: set-up, environment, one worker, and the requeue after an interruption."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from optical_sweeps.slurm.slurm_settings import SlurmSettings

OFFLINE = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}

_SCRIPT = """\
#!/bin/bash
# One task of a sweep: `script.sh prepare`, or `script.sh FIRST` for pack FIRST + SLURM_ARRAY_TASK_ID.
if [ "$1" = prepare ]; then
  what=(--prepare) launch=()
else
  pack=$(($1 + SLURM_ARRAY_TASK_ID))
  what=(--task "$pack") launch=({launch})
  rm -rf {submission}/left/"$pack"  # a requeued task performs its pack again, also runs that it had left
fi
{setup}
set +e
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
{exports}

# Slurm signals this shell only; a signal ends `wait`, not the worker.
signalled= warned= ended=
trap 'signalled=1 warned=1; kill -USR1 "$worker"' USR1
trap 'signalled=1; kill -USR2 "$worker"' USR2
trap 'signalled=1 ended=1; kill -TERM "$worker"' TERM

for attempt in {{1..{attempts}}}; do
  "${{launch[@]}}" {program} sweep work {submission} {trust} "${{what[@]}}" &
  worker=$!
  while true; do
    signalled=
    wait "$worker"
    code=$?
    [ -n "$signalled" ] || break
  done
  # Killed, usually for its memory, and not by Slurm: continue the pack with the runs that were not begun.
  case "$ended$code" in
    134 | 137 | 139) echo "the worker was killed (exit code $code)" ;;
    *) break ;;
  esac
  if [ "$1" = prepare ]; then
    echo "a job is often killed for lack of memory: submit again, with a larger hydra.launcher.prepare.mem"
    break
  fi
  export WORKER_EXIT_CODE="$code"  # the next worker names the run
done

# {interrupted}: interrupted, its state saved; {unready}: the warning came before its signal handlers.
if [ -n "$warned" ] && {{ [ "$code" = {interrupted} ] || [ "$code" = {unready} ]; }}; then
  if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
    echo "time limit: requeued, to continue from the last checkpoint"
    scontrol requeue "$SLURM_JOB_ID"
  else
    echo "time limit, and this was restart ${{SLURM_RESTART_COUNT:-0}} of {requeues}: submit again to continue"
  fi
fi
exit "$code"
"""


def script_text(settings: SlurmSettings, submission: Path, longest: int, trust: Sequence[str] = ()) -> str:
    """The script of a submission.

    Args:
        submission: the submission's folder.
        longest: runs of its longest pack; the worker is started again after each kill, and once more to report
            the last.
        trust: options of `sweep work` that accept the grid's folder of configs and its foreign classes.
    """
    return _SCRIPT.format(
        setup="\n".join(settings.setup),
        exports="\n".join(f"export {name}={shlex.quote(value)}" for name, value in _exports(settings).items()),
        # by default srun follows SBATCH_EXPORT or sbatch's --export=NONE, and drops the exports above
        launch="srun --export=ALL --kill-on-bad-exit=1" if settings.processes > 1 else "",
        program=_program(settings),
        submission=shlex.quote(str(submission)),
        trust=shlex.join(trust),
        attempts=longest + 1,
        interrupted=75,
        unready=128 + 10,
        requeues=settings.requeues,
    )


def _exports(settings: SlurmSettings) -> Mapping[str, str]:
    exports = {"PYTHONUNBUFFERED": "1", **(OFFLINE if settings.offline else {})}
    if settings.processes > 1:
        exports["SRUN_CPUS_PER_TASK"] = str(settings.cpus)  # srun does not take it from sbatch
    secrets = settings.secrets  # sbatch passes these on from its own environment
    own = {name: str(value) for name, value in settings.environment.items() if name not in secrets}
    return {**exports, **own}


def _program(settings: SlurmSettings) -> str:
    """The command that starts the program; `prefix` is shell text, so it is not quoted.

    With -P, Python imports no module that lies in the job's folder, which a stored plan names.
    """
    python = shlex.quote(settings.python or sys.executable)
    return f"{settings.prefix} {python} -P -m optical_sweeps".strip()
