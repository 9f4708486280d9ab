# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Three hosts train together, and one loses its network for a while."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.network_hosts import HostsUnavailableError, NetworkHosts
from tests.train_command import TrainCommand

_NUM_HOSTS = 3
_TIMEOUT_SECS = 240
_COLLECTIVE_TIMEOUT_SECS = 5
# Longer than ranks wait for each other: all fail and start again.
_CUT_SECS = 10


@pytest.fixture(name="hosts")
def _hosts() -> Iterator[NetworkHosts]:
    try:
        hosts = NetworkHosts(_NUM_HOSTS)
    except HostsUnavailableError as error:
        pytest.skip(f"needs root and network namespaces: {error}")
    with hosts:
        yield hosts


# The rendezvous is on host 0; a host without it is cut off, and the one with it.
@pytest.mark.parametrize("cut_host", [2, 0])
def test_training_ends_by_itself_after_a_host_was_cut_off(
    hosts: NetworkHosts, tmp_path: Path, cut_host: int
) -> None:
    undisturbed = TrainCommand(tmp_path / "undisturbed", num_ranks=_NUM_HOSTS)
    undisturbed.run()
    commands = [_command(hosts, host, tmp_path / "run") for host in range(_NUM_HOSTS)]
    processes = [command.start() for command in commands]
    with ThreadPoolExecutor(_NUM_HOSTS) as pool:
        waiting = [pool.submit(_wait, process) for process in processes]
        commands[0].wait_for_step(10)

        hosts.set_connected(cut_host, False)
        time.sleep(_CUT_SECS)
        step_of_cut = commands[0].newest_step()
        hosts.set_connected(cut_host, True)

        outputs = [each.result() for each in waiting]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert step_of_cut < undisturbed.newest_step()
    assert "event=resumed" in "".join(outputs)
    assert commands[0].digest() == undisturbed.digest()
    assert _metrics(commands[0]) == _metrics(undisturbed)


def _metrics(command: TrainCommand) -> dict[str, Any]:
    metrics = command.metrics()
    del metrics["config_digest"]  # Timeouts differ.
    return metrics


def _command(hosts: NetworkHosts, host: int, folder: Path) -> TrainCommand:
    timeout = f"runtime.collective_timeout_secs={_COLLECTIVE_TIMEOUT_SECS}"
    return TrainCommand(
        folder,
        overrides=[timeout],
        flags=[
            f"--nnodes={_NUM_HOSTS}",
            f"--node_rank={host}",
            "--rdzv_endpoint=host0:29400",
            # A busy machine may be slower than the short timeout.
            "--max_restarts=10",
        ],
        prefix=hosts.prefix(host),
    )


def _wait(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=_TIMEOUT_SECS)
    return output
