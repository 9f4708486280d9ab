# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of channel and open_source."""

from pathlib import Path

import pytest

from twhin.client.channel import Connection, make_target
from twhin.client.local_source import LocalSource
from twhin.client.open_source import open_source
from twhin.client.remote_source import RemoteSource
from twhin.errors import BundleError, ConfigError
from twhin.testing.served_bundle import write_bundle


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        ("host.example:80", "host.example:80"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("10.0.0.1:80, 10.0.0.1:81", "ipv4:10.0.0.1:80,10.0.0.1:81"),
        ("[::1]:80,[::2]:80", "ipv6:[::1]:80,[::2]:80"),
    ],
)
def test_targets_of_addresses(addresses: str, target: str) -> None:
    assert make_target(addresses) == target


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        ("a.example:1,10.0.0.1:2", "has the name 'a.example' among several"),
        ("10.0.0.1:1,[::1]:2", "mixes IPv4 and IPv6"),
    ],
)
def test_bad_addresses_are_errors(addresses: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_target(addresses)


def test_a_token_travels_as_metadata() -> None:
    assert Connection().metadata() == ()
    assert Connection(token="x").metadata() == (("authorization", "Bearer x"),)


def test_tls_is_used_where_a_file_is_given(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(b"")

    assert Connection().credentials() is None
    assert Connection(tls=True).credentials() is not None
    assert Connection(tls_roots=tmp_path / "roots.pem").credentials() is not None
    with pytest.raises(ConfigError, match="cannot be read"):
        Connection(tls_roots=tmp_path / "absent.pem").credentials()


def test_a_folder_opens_here_and_an_address_there(tmp_path: Path) -> None:
    write_bundle(tmp_path)

    local = open_source(str(tmp_path))
    remote = open_source("127.0.0.1:1;127.0.0.1:2,127.0.0.1:3")

    assert isinstance(local, LocalSource)
    assert isinstance(remote, RemoteSource)
    remote.close()


def test_what_is_neither_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder and no address"):
        open_source(str(tmp_path / "absent"))
    with pytest.raises(BundleError, match="no bundle"):
        open_source(tmp_path)
