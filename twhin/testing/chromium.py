# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A headless Chromium for tests, driven over a pipe (DevTools protocol).

Where no Chromium is installed the test is skipped, and says so.
"""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TIMEOUT_SECS = 30.0
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
_KEYS = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
}


class Chromium:
    """A browser with one page; a context manager.

    Attributes:
      complaints: What the console and the log have said at the levels of warning
        and error, exceptions that nobody caught, and requests that failed.
    """

    def __init__(self, profile: Path) -> None:
        """Starts the browser, or skips the test.

        Args:
          profile: A folder for its files.
        """
        program = next(filter(None, map(shutil.which, _NAMES)), None)
        if program is None:
            pytest.skip(f"needs a Chromium; none of {_NAMES} is installed")
        self.complaints: list[str] = []
        self._ids = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self._start(program, profile)
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._send(f"{domain}.enable")

    def __enter__(self) -> Self:
        """Returns self."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the browser."""
        os.close(self._to)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)

    def open(self, url: str, *, dark: bool = False, width: int = 1280) -> None:
        """Opens a page and waits until it is loaded."""
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._send("Emulation.setEmulatedMedia", features=features)
        self._resize(width, 900)
        self._send("Page.navigate", url=url)
        self.wait_for(
            "document.readyState === 'complete' && location.href !== 'about:blank'"
        )

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression, as JSON would have it."""
        answer = self._send(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Returns when an expression is true."""
        deadline = time.monotonic() + _TIMEOUT_SECS
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)

    def type(self, text: str) -> None:
        """Types text into what has the focus."""
        self._send("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Presses a key: "Tab", "Enter", "ArrowDown" and so on."""
        code, number, text = _KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        down = {"type": "keyDown" if text else "rawKeyDown", "text": text}
        self._send("Input.dispatchKeyEvent", **common, **down)
        self._send("Input.dispatchKeyEvent", **common, type="keyUp")

    def screenshot(self, path: Path, *, width: int = 1280) -> None:
        """Writes a picture of the whole page, PNG."""
        height = self.evaluate("document.documentElement.scrollHeight")
        self._resize(width, height)
        answer = self._send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def _resize(self, width: int, height: int) -> None:
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def _start(self, program: str, profile: Path) -> None:
        """Starts the browser; it reads descriptor 3 and writes descriptor 4."""
        flags = [*_FLAGS, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Root has no sandbox of Chromium's.
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        script = 'exec "$0" "$@" 3<&"$READS" 4>&"$WRITES"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, *flags],
            env={**os.environ, "READS": str(reads), "WRITES": str(writes)},
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its answer."""
        number = next(self._ids)
        message: dict[str, Any] = {
            "id": number,
            "method": method,
            "params": parameters,
        }
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        """Returns the next message."""
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], _TIMEOUT_SECS)
            assert ready, "Chromium does not answer"
            part = os.read(self._from, 1 << 16)
            assert part, "Chromium has ended"
            self._buffer += part
        first, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        """Keeps what the page complains about."""
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                if parameters["type"] in ("error", "warning", "assert"):
                    self.complaints.append(str(parameters["args"]))
            case "Log.entryAdded":
                if parameters["entry"]["level"] in ("error", "warning"):
                    self.complaints.append(str(parameters["entry"]))
            case "Network.loadingFailed":
                if not parameters.get("canceled"):
                    self.complaints.append(str(parameters))
