# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Opens a page on which a bundle can be looked through, on this machine only.

BUNDLE is the folder of bundle versions or of one version. The page shows the
nearest entities under each relation and on each side, what the vector looks like
and, with --prepared, the edges that it was learnt from. Ctrl-C ends it.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from twhin.bin import command
from twhin.errors import ConfigError

_PORT = flags.DEFINE_integer(
    "port",
    0,
    "The port on 127.0.0.1; 0 for one that the system chooses.",
    lower_bound=0,
    upper_bound=65535,
)
_PREPARED = flags.DEFINE_string(
    "prepared",
    None,
    "The prepared graph, OUTPUT_DIR/prepared: the page then shows training edges.",
)


def main(arguments: Sequence[str]) -> None:
    """Serves the page until it is interrupted."""
    # These import faiss and pyarrow, which --help and wrong flags need not wait for.
    from twhin.bin.prepared_edges import PreparedEdges
    from twhin.bundle.bundle import Bundle
    from twhin.explore.explorer import Explorer
    from twhin.explore.page_server import PageServer

    prepared = _PREPARED.value
    explorer = Explorer(
        Bundle.open(Path(arguments[0])),
        None if prepared is None else PreparedEdges(prepared),
    )
    try:
        server = PageServer(explorer, _PORT.value)
    except OSError as error:
        raise ConfigError(
            f"--port: {_PORT.value} cannot be used ({error.strerror}); allowed: a free"
            " one, or 0"
        ) from error
    with server:
        print(f"Explore:  {server.url}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    command.run(main, arguments=["BUNDLE"])
