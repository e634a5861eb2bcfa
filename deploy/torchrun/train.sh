#!/usr/bin/env bash
# One training over the GPUs of one machine or of several: started once on each machine, with the same words.
#
#   GPUS=4 deploy/torchrun/train.sh hgt --config configs/mine.yaml
#   MACHINES=2 MACHINE=0 FIRST_MACHINE=10.0.0.5 GPUS=4 deploy/torchrun/train.sh hgt --config configs/mine.yaml   # there
#   MACHINES=2 MACHINE=1 FIRST_MACHINE=10.0.0.5 GPUS=4 deploy/torchrun/train.sh hgt --config configs/mine.yaml   # here
#
# All machines see the data directory (BIOASSETS_DATA, else data/) under one path, on a file system that has locks.
# The port of the first machine is open to the others: keep it closed to everybody else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

exec "${PYTHON:-.venv/bin/python}" -m torch.distributed.run \
    --nnodes="${MACHINES:-1}" --node-rank="${MACHINE:-0}" --nproc-per-node="${GPUS:?how many GPUs to use here}" \
    --master-addr="${FIRST_MACHINE:-127.0.0.1}" --master-port="${PORT:-29500}" \
    -m ml_core run "$@"
