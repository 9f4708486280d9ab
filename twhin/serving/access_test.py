# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of access."""

import hashlib
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from twhin.errors import ConfigError
from twhin.serving.access import OpenAccess, RateLimit, load_access
from twhin.serving.refusal_error import RefusalError


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _write(path: Path, **changes: Any) -> Path:
    entry = {"name": "ranker", "sha256": _digest("secret"), "permissions": ["lookup"]}
    path.write_text(json.dumps({"tokens": [{**entry, **changes}]}))
    return path


def _code(access: Any, token: str, permission: str) -> grpc.StatusCode:
    with pytest.raises(RefusalError) as caught:
        access.check([("authorization", f"Bearer {token}")], permission)
    return caught.value.code


def test_without_a_token_file_everyone_may() -> None:
    access = load_access(None, num_workers=2)

    assert isinstance(access, OpenAccess)
    access.check([], "admin")


def test_a_known_token_may_what_it_is_permitted(tmp_path: Path) -> None:
    access = load_access(_write(tmp_path / "tokens.json"), num_workers=1)

    access.check([("authorization", "Bearer secret")], "lookup")
    assert _code(access, "secret", "admin") is grpc.StatusCode.PERMISSION_DENIED
    assert _code(access, "guess", "lookup") is grpc.StatusCode.UNAUTHENTICATED


def test_no_token_is_unauthenticated(tmp_path: Path) -> None:
    access = load_access(_write(tmp_path / "tokens.json"), num_workers=1)

    with pytest.raises(RefusalError) as caught:
        access.check([("user-agent", "x")], "lookup")

    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_rate_is_divided_by_the_workers(tmp_path: Path) -> None:
    path = _write(tmp_path / "tokens.json", requests_per_sec=4)
    access = load_access(path, num_workers=2)

    for _ in range(2):
        access.check([("authorization", "Bearer secret")], "lookup")

    assert _code(access, "secret", "lookup") is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_bucket_refills_with_time() -> None:
    now = [0.0]
    limit = RateLimit(2.0, clock=lambda: now[0])

    assert [limit.take() for _ in range(3)] == [True, True, False]
    now[0] = 0.5
    assert [limit.take() for _ in range(2)] == [True, False]
    now[0] = 100.0
    assert [limit.take() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sha256": "abc"},
            "tokens[0].sha256: is 'abc'; allowed: 64 hexadecimal digits",
        ),
        (
            {"permissions": ["write"]},
            "tokens[0].permissions: is 'write'; allowed: ['lookup'",
        ),
        ({"requests_per_sec": 0}, "tokens[0].requests_per_sec: is 0; allowed: above 0"),
        ({"color": 1}, "tokens[0].color: unknown; known: ['name'"),
    ],
)
def test_bad_entries_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = _write(tmp_path / "tokens.json", **changes)

    with pytest.raises(ConfigError) as caught:
        load_access(path, num_workers=1)

    assert message in str(caught.value)


def test_unreadable_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read as a token file"):
        load_access(tmp_path / "absent.json", num_workers=1)
