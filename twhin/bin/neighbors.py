# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Prints the entities that score highest for entities, from a bundle or a server.

One line for each of them: the id that was asked for, the id found, and the
score, separated by tabs. A server is HOST:PORT. Negative ids come behind "--".
"""

from collections.abc import Sequence

from absl import flags

from twhin.bin import command, source_flags

_RELATION = flags.DEFINE_string(
    "relation",
    None,
    "The relation through which entities are compared; without it those most like"
    " the given ones, of their own type.",
)
_SIDE = flags.DEFINE_enum(
    "side", "rhs", ["lhs", "rhs"], "The side of the relation that is returned."
)
_K = flags.DEFINE_integer("k", 10, "Entities for each id.", lower_bound=1)
_EXACT = flags.DEFINE_boolean(
    "exact", False, "Compares with every entity instead of using an index."
)


def main(arguments: Sequence[str]) -> None:
    """Retrieves."""
    name, entity_type, *texts = arguments
    source = source_flags.open_named_source(name)
    ids = source_flags.parse_ids(source.describe(), entity_type, texts)
    neighbors = source.retrieve(
        entity_type,
        ids,
        relation=_RELATION.value,
        side=_SIDE.value,
        k=_K.value,
        exact=_EXACT.value,
    )
    for query, text in enumerate(texts):
        found, scores = neighbors.of(query)
        for entity_id, score in zip(found.tolist(), scores.tolist(), strict=True):
            print(f"{text}\t{entity_id}\t{score:.6g}")
        if not len(found):
            print(f"{text}\tnone found")
    source.close()


if __name__ == "__main__":
    command.run(main, arguments=["BUNDLE_OR_ADDRESS", "ENTITY_TYPE", "ID..."])
