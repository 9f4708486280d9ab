# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Checks that an export that is killed leaves no version that opens."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from twhin.bundle import versions
from twhin.bundle.bundle import Bundle
from twhin.errors import BundleError
from twhin.testing.command_process import process_environment
from twhin.testing.export_case import encoded_case

_TIMEOUT_SECS = 60
# Exports twice into one root, and kills itself in the second export when the
# function named by the second argument is called.
_SCRIPT = """
import os, signal, sys
from pathlib import Path
from twhin.bundle import new_version, versions
from twhin.export import table_step
from twhin.testing.export_case import encoded_case

folder, place = Path(sys.argv[1]), sys.argv[2]
case = encoded_case(folder)
case.export(folder / "bundle")
module, _, name = place.partition(".")

def kill(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(globals()[module], name, kill)
case.export(folder / "bundle")
"""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("table_step.write_tables", "v000001"),
        ("new_version.write_manifest", "v000001"),
        ("versions.set_current", "v000001"),
        ("versions.remove_old_versions", "v000002"),
    ],
)
def test_a_killed_export_leaves_the_version_before(
    tmp_path: Path, place: str, expected: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path), place],
        env=process_environment(),
        capture_output=True,
        timeout=_TIMEOUT_SECS,
        check=False,
    )
    root = tmp_path / "bundle"

    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    bundle = Bundle.open(root)
    bundle.verify()
    assert bundle.version == expected
    for version in versions.list_versions(root):
        Bundle.open(root / version).verify()
    if (root / ".incomplete").exists():
        with pytest.raises(BundleError, match="no bundle"):
            Bundle.open(root / ".incomplete")

    case = encoded_case(tmp_path)
    after = case.export(root)
    rows = after.find("user", np.arange(300))
    assert (after.vectors("user", rows) == case.model.tables["user"].numpy()).all()
    assert not (root / ".incomplete").exists()
