# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Runs the tests of a module that imports it with compiled loops and without."""

import pytest

from twhin.bundle import optional_loops


@pytest.fixture(params=["compiled", "numpy"], autouse=True)
def both_loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a test compiled loops, or none."""
    if request.param == "numpy":
        monkeypatch.setattr(optional_loops, "row_loops", lambda: None)
    else:
        assert optional_loops.load()
