# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Tests of options."""

from pathlib import Path

import pytest

from twhin.serving import options
from twhin.serving.limits import Limits
from twhin.serving.options import ServerOptions, WorkerOptions


@pytest.mark.parametrize(
    "server",
    [
        ServerOptions(bundle=Path("/bundles/a")),
        ServerOptions(
            bundle=Path("/bundles/a"),
            host="::1",
            shards=(0, 4, 8),
            limits=Limits(max_ids=7, max_queue_secs=0.25),
            token_file=Path("/tokens"),
            tls_certificate=Path("/certificate"),
            tls_key=Path("/key"),
            num_workers=2,
        ),
    ],
)
def test_options_survive_the_way_to_a_worker(server: ServerOptions) -> None:
    worker = WorkerOptions(
        server=server, index=1, shared_port=80, own_port=81, core=None, supervisor=7
    )

    assert options.from_json(options.to_json(worker)) == worker
