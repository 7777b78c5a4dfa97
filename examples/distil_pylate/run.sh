#!/usr/bin/env bash
# Distil the PyLate model in folder $1, export the student, and search with it in PyLate. Further arguments are settings.
set -euo pipefail
model=$(realpath "$1")
shift
cd "$(dirname "$0")"
export WANDB_MODE="${WANDB_MODE:-offline}"
town=$PWD/../own_bitext

optical-sweeps train --config-dir "$town/conf" experiment=own_bitext data.root="$town/data" sweep.name=distil_pylate \
  teacher=colbert teacher.path="$model" objective=optical mixture.ratio=0.5 seed=1 "$@"
run=$(dirname multirun/distil_pylate/*/record.json)
rm -rf student teacher
optical-sweeps export "$run" to=student format=pylate
optical-sweeps export "$run" to=teacher format=pylate part=teacher
"${PYLATE:-python}" search_in_pylate.py teacher student "$town/data"
