# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of live_bundle and bundle_description."""

import gc
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from twhin.bundle import versions
from twhin.errors import BundleError
from twhin.serving.bundle_description import describe_bundle
from twhin.serving.limits import Limits
from twhin.serving.live_bundle import LiveBundle
from twhin.testing.served_bundle import NUM_USERS, open_live, write_bundle


def _mapped(folder: Path) -> bool:
    """Returns whether this process maps a file of the folder."""
    return f"{folder}/" in Path("/proc/self/maps").read_text()


def _damage(root: Path, version: str) -> None:
    """Changes one byte of a table, which only its checksum shows."""
    path = next((root / version / "tables" / "user").iterdir())
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)


def _reloads(registry: CollectorRegistry, outcome: str) -> float:
    value = registry.get_sample_value("twhin_reloads_total", {"outcome": outcome})
    return value or 0.0


def _base(live: LiveBundle) -> float:
    """Returns the number that all vectors of the served version end with."""
    bundle = live.get().bundle
    return float(bundle.vectors("user", bundle.find("user", [10]))[0, -1])


def test_a_new_version_replaces_the_old_one(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, registry = open_live(tmp_path)
    live.refresh()
    assert _reloads(registry, "switched") == 0

    write_bundle(tmp_path, base=2.0)
    live.refresh()

    assert (live.version, _base(live)) == ("v000002", 2.0)
    assert _reloads(registry, "switched") == 1
    assert registry.get_sample_value("twhin_served_version") == 2


def test_a_request_keeps_the_version_that_it_took(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, _ = open_live(tmp_path)
    taken = live.get()

    write_bundle(tmp_path, base=2.0)
    live.refresh()

    assert taken.bundle.vectors("user", taken.bundle.find("user", [10]))[0, -1] == 1.0
    assert _mapped(tmp_path / "v000001")
    del taken
    gc.collect()
    assert not _mapped(tmp_path / "v000001")
    assert _mapped(tmp_path / "v000002")


def test_a_damaged_version_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, registry = open_live(tmp_path)
    _damage(tmp_path, write_bundle(tmp_path, base=2.0))

    live.refresh()
    live.refresh()

    assert (live.version, _base(live)) == ("v000001", 1.0)
    # Counted once: it is not read again and again.
    assert _reloads(registry, "refused") == 1
    assert registry.get_sample_value("twhin_reload_refused") == 1
    with pytest.raises(BundleError):
        live.reload()
    live.refresh(retry=True)
    assert _reloads(registry, "refused") == 3


def test_the_next_good_version_ends_a_refusal(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, registry = open_live(tmp_path)
    _damage(tmp_path, write_bundle(tmp_path, base=2.0))
    live.refresh()

    write_bundle(tmp_path, base=3.0)
    live.refresh()

    assert _base(live) == 3.0
    assert registry.get_sample_value("twhin_reload_refused") == 0


def test_going_back_ends_a_refusal(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, registry = open_live(tmp_path)
    _damage(tmp_path, write_bundle(tmp_path, base=2.0))
    live.refresh()

    versions.set_current(tmp_path, "v000001")
    live.refresh()

    assert live.version == "v000001"
    assert registry.get_sample_value("twhin_reload_refused") == 0


def test_a_truncated_version_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, _ = open_live(tmp_path)
    version = write_bundle(tmp_path, base=2.0)
    path = next((tmp_path / version / "tables" / "user").iterdir())
    path.write_bytes(path.read_bytes()[:-1])

    live.refresh()

    assert live.version == "v000001"


def test_a_missing_pointer_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    live, registry = open_live(tmp_path)
    (tmp_path / "current").write_text("nonsense\n")

    live.refresh()

    assert live.version == "v000001"
    assert _reloads(registry, "refused") == 1


def test_a_damaged_first_version_is_an_error_with_preload(tmp_path: Path) -> None:
    _damage(tmp_path, write_bundle(tmp_path))

    with pytest.raises(BundleError):
        open_live(tmp_path)


def test_a_folder_of_one_version_is_served(tmp_path: Path) -> None:
    version = write_bundle(tmp_path, base=1.0)
    live, _ = open_live(tmp_path / version)
    write_bundle(tmp_path, base=2.0)

    live.refresh()

    assert _base(live) == 1.0


def test_switching_at_once_from_two_threads_switches_once(tmp_path: Path) -> None:
    write_bundle(tmp_path, base=1.0)
    live, registry = open_live(tmp_path)
    write_bundle(tmp_path, base=2.0)
    changed: list[bool] = []
    threads = [
        threading.Thread(target=lambda: changed.append(live.reload())) for _ in range(2)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(changed) == [False, True]
    assert _reloads(registry, "switched") == 1


def test_description_has_tables_relations_and_limits(tmp_path: Path) -> None:
    write_bundle(tmp_path, num_shards=4)
    live, _ = open_live(tmp_path, (1, 2, 2))

    described = describe_bundle(live.get(), Limits(max_ids=7, max_k=8, max_queries=9))

    tables = {table.entity_type: table for table in described.tables}
    assert tables["user"].num_rows == NUM_USERS
    assert [tables[name].string_ids for name in ("user", "tweet")] == [False, True]
    user = tables["user"]
    assert (user.first_shard, user.end_shard, user.num_shards) == (2, 4, 4)
    assert (user.dim, user.dtype, user.indexed) == (4, "float32", False)
    assert [(r.name, r.lhs, r.rhs) for r in described.relations] == [
        ("likes", "user", "tweet"),
        ("follows", "user", "user"),
    ]
    limits = described.limits
    assert (limits.max_ids, limits.max_k, limits.max_queries) == (7, 8, 9)
    assert described.version == "v000001"
