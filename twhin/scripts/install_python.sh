#!/usr/bin/env bash
# Installs a lock into a virtual environment: install_python.sh cpu|gpu FOLDER
#
# Needs third_party/python of the repository beside it and nothing else, so that
# the layer of an image that runs it stays valid while sources change.
set -euo pipefail

device="$1"
folder="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

python3 -m venv --without-pip "${folder}"
site_packages="$("${folder}/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
rmdir "${site_packages}"
python3 "${root}/third_party/python/install.py" \
  "${root}/third_party/python/requirements-${device}.txt" "${site_packages}" /dev/null
