#!/usr/bin/env bash
# Builds the images twhin:cpu and twhin:gpu, or the one that is named:
#
#   twhin/scripts/build_images.sh [cpu|gpu]
#
# DOCKER names another client (podman, buildah); BASE_IMAGE another Debian 12.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
docker="${DOCKER:-docker}"
devices=("$@")
((${#devices[@]})) || devices=(cpu gpu)
# The image's user is never root, also where root builds it.
user_id="$(id -u)"
((user_id)) || user_id=1000

for device in "${devices[@]}"; do
  case "${device}" in
    cpu | gpu) ;;
    *)
      echo "build_images.sh: unknown image '${device}'; known: cpu, gpu" >&2
      exit 2
      ;;
  esac
  "${docker}" build \
    --file "${root}/deploy/Dockerfile" \
    --build-arg "DEVICE=${device}" \
    --build-arg "USER_ID=${user_id}" \
    ${BASE_IMAGE:+--build-arg "BASE_IMAGE=${BASE_IMAGE}"} \
    --tag "twhin:${device}" \
    "${root}"
done
