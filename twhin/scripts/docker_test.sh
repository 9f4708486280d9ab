#!/usr/bin/env bash
# Runs every test in the image, on this repository: twhin/scripts/docker_test.sh
# Arguments go to "bazel test"; without any, //... is tested.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
docker="${DOCKER:-docker}"
targets=("$@")
((${#targets[@]})) || targets=(//...)
exec "${docker}" run --rm --shm-size=1g \
  --volume "${root}:/home/twhin/source" --workdir /home/twhin/source \
  "twhin:${DEVICE:-cpu}" ./bazelw test "${targets[@]}"
