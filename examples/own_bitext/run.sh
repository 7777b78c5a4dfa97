#!/usr/bin/env bash
# Sweep the share of Turkish, then draw the curves and the HTML page. Further arguments are settings, such as seed=1.
set -euo pipefail
cd "$(dirname "$0")"
export WANDB_MODE="${WANDB_MODE:-offline}"

optical-sweeps sweep plan --config-dir conf experiment=own_bitext "$@"
optical-sweeps train -m --config-dir conf experiment=own_bitext "$@"
optical-sweeps curves multirun/own_bitext
optical-sweeps report multirun/own_bitext
