# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Serves the page and its questions, on this machine only."""

import json
import logging
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from twhin.explore.explore_page import make_page
from twhin.explore.explorer import Explorer, UnknownEntityError

LOOPBACK = "127.0.0.1"
_NUM_NEIGHBORS = 10
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
    " img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
_LOG = logging.getLogger(__name__)


class PageServer(ThreadingHTTPServer):
    """Answers on the loopback address.

    Attributes:
      url: Where the page is.
      explorer: What answers.
      page: The page, UTF-8.
    """

    daemon_threads = True

    def __init__(self, explorer: Explorer, port: int = 0) -> None:
        """Binds the port; `serve_forever` answers.

        Args:
          explorer: What answers.
          port: The port; 0 for one that the system chooses.

        Raises:
          OSError: The port is in use.
        """
        super().__init__((LOOPBACK, port), _Handler)
        self.explorer = explorer
        self.page = make_page(explorer.describe()).encode()
        self.url = f"http://{LOOPBACK}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: PageServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers "/" with the page and "/api/..." with JSON."""
        if not self._is_for_us():
            # A page of another site whose name was made to mean this machine.
            self._answer(HTTPStatus.FORBIDDEN, {"error": "not for this host"})
            return
        path, _, query = self.path.partition("?")
        given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        if path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page)
            return
        try:
            self._answer(HTTPStatus.OK, self._ask(path, given))
        except UnknownEntityError as error:
            # An answer like others: a browser would call 404 an error of the page.
            self._answer(HTTPStatus.OK, {"error": str(error)})
        except (KeyError, ValueError) as error:
            _LOG.debug("event=bad_request path=%r error=%r", path, error)
            self._answer(HTTPStatus.BAD_REQUEST, {"error": "unknown question"})

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Logs a request where debug lines are wanted."""
        _LOG.debug(format, *arguments)

    def _ask(self, path: str, given: dict[str, str]) -> dict[str, Any]:
        """Returns an answer; KeyError or ValueError for what is no question."""
        explorer = self.server.explorer
        if path == "/api/describe":
            return explorer.describe()
        if path == "/api/complete":
            return explorer.complete(given["type"], given["prefix"])
        if path == "/api/entity":
            k = int(given.get("k", _NUM_NEIGHBORS))
            return explorer.show(given["type"], given["id"], k)
        raise KeyError(path)

    def _is_for_us(self) -> bool:
        port = self.server.server_port
        return self.headers.get("Host") in (f"{LOOPBACK}:{port}", f"localhost:{port}")

    def _answer(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        body = json.dumps(answer, allow_nan=False).encode()
        self._send(status, "application/json", body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
