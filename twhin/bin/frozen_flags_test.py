# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The flags of every command: people and scripts use them, so a change shows here.

A flag that is renamed or removed breaks them: say it in CHANGELOG.md.
"""

import re
import resource
from pathlib import Path

import pytest

from twhin.testing.command_process import run_python

# build: needs //twhin/bin:evaluate
# build: needs //twhin/bin:explore
# build: needs //twhin/bin:export
# build: needs //twhin/bin:inspect_folder
# build: needs //twhin/bin:lookup
# build: needs //twhin/bin:neighbors
# build: needs //twhin/bin:prepare
# build: needs //twhin/bin:report
# build: needs //twhin/bin:serve
# build: needs //twhin/bin:train
# build: needs //twhin/bin:tune

_ALL = {"log_level"}
_RUN = {"config", "data_root", "output_dir", "override", "print_config"}
_FLAGS: dict[str, set[str]] = {
    "evaluate": _RUN
    | {"checkpoint", "compression", "nproc_per_node", "num_candidates", "split"},
    "explore": {"port", "prepared"},
    "export": _RUN
    | {"also", "bundle_root", "checkpoint", "nproc_per_node", "unseen_edges"},
    "inspect_folder": set(),
    "lookup": {"timeout_secs", "tls_certificate", "tls_key", "tls_roots", "token_file"},
    "neighbors": {
        "exact",
        "k",
        "relation",
        "side",
        "timeout_secs",
        "tls_certificate",
        "tls_key",
        "tls_roots",
        "token_file",
    },
    "prepare": _RUN | {"dry_run", "engine", "master", "memory_limit", "num_threads"},
    "report": _RUN | {"checkpoint"},
    "serve": {
        "access_log",
        "bundle",
        "drain_notice_secs",
        "drain_secs",
        "host",
        "lock_memory",
        "max_concurrent",
        "max_ids",
        "max_k",
        "max_message_bytes",
        "max_queries",
        "max_queue_secs",
        "max_streams",
        "metrics_port",
        "num_workers",
        "poll_secs",
        "port",
        "preload",
        "shards",
        "tls_certificate",
        "tls_client_ca",
        "tls_key",
        "tokens",
        "trace",
    },
    "train": _RUN
    | {
        "max_restarts",
        "nnodes",
        "node_rank",
        "nproc_per_node",
        "rdzv_endpoint",
        "rdzv_id",
        "restart",
        "split",
    },
    "tune": _RUN | {"nproc_per_node", "num_trials", "search_seed", "space"},
}
_MAX_SECS = 2.0
# Runs a command as `python -m` would, and says which heavy modules it imported.
_PROBE = """
import runpy, sys
module = sys.argv.pop(1)
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    heavy = {"torch", "torchrec", "fbgemm_gpu", "faiss"} & set(sys.modules)
    print("heavy modules:", *sorted(heavy))
"""


def test_every_command_is_listed() -> None:
    folder = Path(__file__).resolve().parent
    commands = {
        path.stem
        for path in folder.glob("*.py")
        if not path.stem.endswith("_test")
        and re.search(r"^    command\.run\(", path.read_text(), re.MULTILINE)
    }

    # The flags of prepare; not here under Bazel, which would install Spark for it.
    assert commands - {"prepare_spark"} == set(_FLAGS)


@pytest.mark.parametrize("command", sorted(_FLAGS))
def test_flags_are_those_that_are_listed(command: str, tmp_path: Path) -> None:
    done = run_python("-m", f"twhin.bin.{command}", "--help", folder=tmp_path)

    found = set(re.findall(r"^  --(?:\[no\])?(\w+):", done.stdout, re.MULTILINE))
    assert done.returncode == 0, done.stderr
    assert found == _FLAGS[command] | _ALL


@pytest.mark.parametrize("command", sorted(_FLAGS))
def test_help_waits_for_no_heavy_module(command: str, tmp_path: Path) -> None:
    before = _cpu_secs()
    done = run_python("-c", _PROBE, f"twhin.bin.{command}", "--help", folder=tmp_path)
    secs = _cpu_secs() - before

    assert done.stdout.endswith("heavy modules:\n"), done.stdout + done.stderr
    assert secs < _MAX_SECS


def _cpu_secs() -> float:
    """Returns the processor time of ended processes, which load does not change."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
