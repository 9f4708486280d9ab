#!/usr/bin/env bash
# Opens a shell in the image with this repository in place of the image's copy, to
# change sources outside and run them inside: twhin/scripts/idocker.sh
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
docker="${DOCKER:-docker}"
device="${DEVICE:-cpu}"
options=(--rm --interactive --tty --shm-size=1g)
options+=(--volume "${root}:/home/twhin/source" --workdir /home/twhin/source)
if [[ "${device}" == gpu ]]; then
  options+=(--gpus all)
fi
exec "${docker}" run "${options[@]}" "twhin:${device}" bash "$@"
