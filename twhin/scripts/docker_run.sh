#!/usr/bin/env bash
# Runs a command of the project in its image, on the files of this folder:
#
#   twhin/scripts/docker_run.sh train --config=shop.yaml --output_dir=run
#
# The working directory is mounted at /work. DEVICE=gpu takes the CUDA image and
# all GPUs.
set -euo pipefail

docker="${DOCKER:-docker}"
device="${DEVICE:-cpu}"
options=(--rm --volume "${PWD}:/work" --workdir /work --shm-size=1g)
if [[ "${device}" == gpu ]]; then
  options+=(--gpus all)
fi
if (($# == 0)); then
  echo "docker_run.sh: no command; allowed: train, prepare, evaluate, export, serve, ..." >&2
  exit 2
fi
command="$1"
shift
exec "${docker}" run "${options[@]}" "twhin:${device}" python -m "twhin.bin.${command}" "$@"
