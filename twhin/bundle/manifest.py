# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Reads and writes the manifest of a bundle version."""

import json
from pathlib import Path

from google.protobuf import json_format

from twhin.bundle.file_writer import FileWriter
from twhin.bundle.manifest_check import check_manifest
from twhin.errors import BundleError
from twhin.v1 import bundle_pb2

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"


def read_manifest(folder: Path) -> bundle_pb2.BundleManifest:
    """Reads and checks the manifest of a version's folder.

    Raises:
      BundleError: It is missing, damaged, or of another format version.
    """
    path = folder / MANIFEST_FILE
    manifest = bundle_pb2.BundleManifest()
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        version = tree.get("format_version") if isinstance(tree, dict) else None
        if version != FORMAT_VERSION:
            raise BundleError(
                f"{path}: format_version: is {version!r}; allowed: {FORMAT_VERSION}"
            )
        json_format.ParseDict(tree, manifest)
    except OSError as err:
        raise BundleError(f"{path}: cannot be read: {err.strerror}") from err
    except (ValueError, RecursionError, json_format.ParseError) as err:
        reason = str(err).replace("\n", " ")
        raise BundleError(f"{path}: is damaged: {reason}") from err
    check_manifest(manifest, str(path))
    return manifest


def write_manifest(folder: Path, manifest: bundle_pb2.BundleManifest) -> None:
    """Checks a manifest and writes it as the last file of a version's folder.

    Raises:
      BundleError: It does not describe a bundle.
    """
    check_manifest(manifest, MANIFEST_FILE)
    text = json_format.MessageToJson(manifest, preserving_proto_field_name=True)
    with FileWriter(folder, MANIFEST_FILE) as writer:
        writer.write_bytes(text.encode() + b"\n")
