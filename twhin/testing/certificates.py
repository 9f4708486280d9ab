# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Certificates for tests of TLS, made by the openssl command."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatesForTest:
    """Files in PEM.

    Attributes:
      authority: Signs the others.
      certificate: Of the server, for 127.0.0.1 and localhost.
      key: Its key.
      client_certificate: Of a client.
      client_key: Its key.
    """

    authority: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path


def make_certificates(folder: Path) -> CertificatesForTest:
    """Writes them; skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    authority_key, authority = folder / "authority.key", folder / "authority.pem"
    _openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        f" -subj /CN=authority -keyout {authority_key} -out {authority}"
    )
    for name in ("server", "client"):
        _openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
            f" -subj /CN={name} -keyout {folder}/{name}.key -out {folder}/{name}.csr"
        )
        extensions = folder / f"{name}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl(
            f"x509 -req -days 2 -in {folder}/{name}.csr -CA {authority}"
            f" -CAkey {authority_key} -CAcreateserial -extfile {extensions}"
            f" -out {folder}/{name}.pem"
        )
    return CertificatesForTest(
        authority=authority,
        certificate=folder / "server.pem",
        key=folder / "server.key",
        client_certificate=folder / "client.pem",
        client_key=folder / "client.key",
    )


def _openssl(arguments: str) -> None:
    subprocess.run(
        ["openssl", *arguments.split()], check=True, capture_output=True, timeout=30
    )
