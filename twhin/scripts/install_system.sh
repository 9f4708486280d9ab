#!/usr/bin/env bash
# What an image needs of Debian: Python with venv, git, Bazel. Run as root.
set -euo pipefail

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
  bazel-bootstrap ca-certificates git python3 python3-pip python3-venv
rm -rf /var/lib/apt/lists/*
