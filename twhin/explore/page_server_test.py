# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of the page: over HTTP, and in a browser where there is one."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twhin.bundle.bundle import Bundle
from twhin.explore.edge_source import EntityEdges
from twhin.explore.explorer import Explorer
from twhin.explore.page_server import PageServer
from twhin.testing.chromium import Chromium
from twhin.testing.small_bundle import (
    RelationForTest,
    TableForTest,
    write_bundle_for_test,
)

_EVIL = "<img src=x onerror=alert(1)>"


class _OneEdge:
    """Says of every user that it likes item 3."""

    def edges_of(
        self, entity_type: str, entity_id: int | str, limit: int
    ) -> list[EntityEdges]:
        if entity_type != "user":
            return []
        return [
            EntityEdges(
                relation="likes", side="rhs", entity_type="item", num_edges=5, ids=["3"]
            )
        ]


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    root = tmp_path_factory.mktemp("bundle")
    generator = np.random.default_rng(0)
    users = [f"user_{number}" for number in range(40)] + [_EVIL, "a/b#c d%20"]
    write_bundle_for_test(
        root,
        {
            "user": TableForTest(
                ids=users, vectors=generator.standard_normal((len(users), 8))
            ),
            "item": TableForTest(
                ids=list(range(30)), vectors=generator.standard_normal((30, 8))
            ),
        },
        [RelationForTest(name="likes", lhs="user", rhs="item")],
    )
    with PageServer(Explorer(Bundle.open(root), _OneEdge())) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _get(
    server: PageServer, path: str, host: str | None = None
) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        reply = connection.getresponse()
        body = reply.read()
        is_json = reply.headers["Content-Type"] == "application/json"
        return reply.status, json.loads(body) if is_json else body, reply.headers
    finally:
        connection.close()


def test_only_this_machine_can_reach_it(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert _get(server, "/", host="evil.example")[0] == 403
    assert _get(server, "/", host=f"localhost:{server.server_port}")[0] == 200


def test_page_allows_no_other_origin(server: PageServer) -> None:
    status, body, headers = _get(server, "/")

    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"http" not in body.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"<img src=x" not in body


def test_questions_are_answered(server: PageServer) -> None:
    _, found, _ = _get(server, "/api/entity?type=user&id=user_3&k=4")
    _, ids, _ = _get(server, "/api/complete?type=user&prefix=user_3")

    assert found["id"] == "user_3"
    assert [each["relation"] for each in found["neighbors"]] == [None, "likes"]
    assert len(found["neighbors"][1]["ids"]) == 4
    assert found["edges"][0]["num_edges"] == 5
    assert ids["ids"][0] == "user_3"
    assert len(ids["ids"]) == 11


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/entity?type=user&id=nobody", 200),
        ("/api/entity?type=song&id=1", 200),
        ("/api/entity?type=item&id=one", 200),
        ("/api/entity?type=user", 400),
        ("/api/entity?type=user&id=user_1&k=many", 400),
        ("/etc/passwd", 400),
    ],
)
def test_wrong_questions_get_an_error(
    server: PageServer, path: str, status: int
) -> None:
    found_status, found, _ = _get(server, path)

    assert found_status == status
    assert found["error"]


def test_typing_and_arrow_keys_lead_to_an_entity(
    server: PageServer, tmp_path: Path
) -> None:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(server.url)
        browser.evaluate("document.querySelector('#id').focus()")
        browser.type("user_3")
        browser.wait_for("document.querySelectorAll('#ids li').length === 11")
        browser.press("ArrowDown")
        browser.press("ArrowDown")
        browser.press("Enter")
        browser.wait_for("document.querySelector('h2.name')?.textContent === 'user_30'")

        assert browser.evaluate("location.hash") == "#user/user_30"
        assert browser.evaluate("document.activeElement.textContent") == "user_30"
        assert browser.evaluate("document.querySelectorAll('.neighbors').length") == 2
        assert browser.complaints == []


def test_a_neighbour_is_a_link_and_back_leads_back(
    server: PageServer, tmp_path: Path
) -> None:
    name = "document.querySelector('h2.name')?.textContent"
    with Chromium(tmp_path / "profile") as browser:
        browser.open(f"{server.url}#item/3", dark=True)
        browser.wait_for(f"{name} === '3'")
        neighbor = browser.evaluate(
            "(() => { const a = document.querySelector('.neighbors a'); a.focus();"
            " return a.textContent; })()"
        )
        browser.press("Enter")
        browser.wait_for(f"{name} === '{neighbor}'")
        browser.evaluate("history.back()")
        browser.wait_for(f"{name} === '3'")

        assert browser.complaints == []


@pytest.mark.parametrize("entity_id", [_EVIL, "a/b#c d%20"])
def test_any_id_is_shown_as_text(
    server: PageServer, tmp_path: Path, entity_id: str
) -> None:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(server.url)
        browser.evaluate("document.querySelector('#id').focus()")
        browser.type(entity_id)
        browser.press("Enter")
        browser.wait_for("document.querySelector('h2.name')")

        assert browser.evaluate("document.querySelector('h2.name').textContent") == (
            entity_id
        )
        assert browser.evaluate("document.images.length") == 0
        assert browser.complaints == []


def test_an_unknown_id_is_said_on_the_page(server: PageServer, tmp_path: Path) -> None:
    with Chromium(tmp_path / "profile") as browser:
        browser.open(f"{server.url}#user/nobody")
        browser.wait_for("document.querySelector('.problem')")

        assert "nobody" in browser.evaluate(
            "document.querySelector('.problem').textContent"
        )
        assert browser.complaints == []
