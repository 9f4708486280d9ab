# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prints the vectors of entities, from a bundle or from a server.

One line for each id: the id, a tab, and the numbers, or "not found". A server
is HOST:PORT. Negative ids come behind "--".
"""

from collections.abc import Sequence

from twhin.bin import command, source_flags


def main(arguments: Sequence[str]) -> None:
    """Looks up."""
    name, entity_type, *texts = arguments
    source = source_flags.open_named_source(name)
    ids = source_flags.parse_ids(source.describe(), entity_type, texts)
    vectors = source.lookup(entity_type, ids)
    for text, values, found in zip(texts, vectors.values, vectors.found, strict=True):
        numbers = " ".join(f"{value:.6g}" for value in values.tolist())
        print(f"{text}\t{numbers if found else 'not found'}")
    source.close()


if __name__ == "__main__":
    command.run(main, arguments=["BUNDLE_OR_ADDRESS", "ENTITY_TYPE", "ID..."])
