# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Hosts with names, addresses and a switch, as network namespaces of one machine."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

_SUBNET = "10.213.87"
# Names the host and its neighbours inside of namespaces of its own, and then
# becomes the command.
_BECOME_HOST = 'hostname "$1" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'


class HostsUnavailableError(Exception):
    """This machine does not let this user make network namespaces."""


class NetworkHosts:
    """Hosts "host0", "host1", ... that see nothing but each other.

    All is made inside of namespaces, and is gone with them: the machine's own
    network is not touched.
    """

    def __init__(self, num_hosts: int) -> None:
        """Makes the hosts.

        Raises:
          HostsUnavailableError: Namespaces cannot be made here.
        """
        if shutil.which("ip") is None:
            raise HostsUnavailableError("the command ip (iproute2) is not installed")
        self._names = [f"twhin{os.getpid()}-{host}" for host in range(num_hosts)]
        self._switch = f"twhin{os.getpid()}-switch"
        self._folder = tempfile.TemporaryDirectory()
        self._hosts_file = Path(self._folder.name) / "hosts"
        lines = ["127.0.0.1 localhost"]
        lines += [f"{_SUBNET}.{host + 1} host{host}" for host in range(num_hosts)]
        self._hosts_file.write_text("".join(f"{line}\n" for line in lines))
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "NetworkHosts":
        """Returns self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the hosts."""
        self.close()

    def prefix(self, host: int) -> list[str]:
        """Returns the command line behind which a command runs on a host."""
        enter = ["ip", "netns", "exec", self._names[host]]
        become = ["unshare", "--uts", "--mount", "sh", "-c", _BECOME_HOST, "sh"]
        return [*enter, *become, f"host{host}", str(self._hosts_file)]

    def set_connected(self, host: int, is_connected: bool) -> None:
        """Plugs the cable of a host in or out."""
        state = "up" if is_connected else "down"
        _ip(["-n", self._switch, "link", "set", f"port{host}", state])

    def close(self) -> None:
        """Ends all that runs on the hosts, and removes them."""
        for name in (*self._names, self._switch):
            found = _run(["ip", "netns", "pids", name])
            for pid in found.stdout.split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue
            _run(["ip", "netns", "delete", name])
        self._folder.cleanup()

    def _make(self) -> None:
        switch = self._switch
        _ip(["netns", "add", switch])
        _ip(["-n", switch, "link", "add", "bridge", "type", "bridge"])
        _ip(["-n", switch, "link", "set", "bridge", "up"])
        for host, name in enumerate(self._names):
            port, address = f"port{host}", f"{_SUBNET}.{host + 1}/24"
            cable = ["link", "add", "eth0", "netns", name, "type", "veth"]
            _ip(["netns", "add", name])
            _ip([*cable, "peer", "name", port, "netns", switch])
            _ip(["-n", switch, "link", "set", port, "master", "bridge", "up"])
            _ip(["-n", name, "address", "add", address, "dev", "eth0"])
            _ip(["-n", name, "link", "set", "eth0", "up"])
            _ip(["-n", name, "link", "set", "lo", "up"])
        # What else is needed to be a host, tried on the first one.
        found = _run([*self.prefix(0), "hostname"])
        if found.stdout.strip() != "host0":
            raise HostsUnavailableError(_reason(found))


def _ip(arguments: Sequence[str]) -> None:
    found = _run(["ip", *arguments])
    if found.returncode:
        raise HostsUnavailableError(f"ip {' '.join(arguments)}: {_reason(found)}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _reason(found: subprocess.CompletedProcess[str]) -> str:
    return found.stderr.strip() or f"ended with code {found.returncode}"
