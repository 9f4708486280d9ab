# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A tiny preparation: files written, configuration loaded, result decoded."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from twhin.config.resolved_config import load_config
from twhin.config.settings import TrainConfig
from twhin.graph.manifest import GraphManifest
from twhin.graph.prepare import preparation
from twhin.graph.prepared_graph import PreparedGraph

USER_TWEET = """
    graph:
      entity_types: [{name: user}, {name: tweet}]
      relations:
        - {name: follows, lhs: user, rhs: user}
        - {name: likes, lhs: user, rhs: tweet}
    """
"""A graph of two entity types; the text of a configuration goes on with `data:`."""

Edge = tuple[Any, str, Any]


class PrepareCase:
    """A folder with raw files, a configuration and prepared graphs."""

    def __init__(self, folder: Path) -> None:
        """Starts with an empty folder."""
        self.folder = folder

    def write_parquet(self, name: str, **columns: Sequence[Any] | pa.Array) -> Path:
        """Writes a parquet file with the given columns."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    def write_edges(self, name: str, edges: Sequence[Edge]) -> Path:
        """Writes a parquet file with the columns `lhs`, `rel`, `rhs`."""
        lhs, rel, rhs = zip(*edges, strict=True)
        return self.write_parquet(name, lhs=lhs, rel=rel, rhs=rhs)

    def write_text(self, name: str, text: str) -> Path:
        """Writes a text file, without the indentation of `text`."""
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def settings(self, *parts: str) -> TrainConfig:
        """Loads a configuration from parts of YAML, each indented as it likes."""
        text = "\n".join(textwrap.dedent(part) for part in parts)
        path = self.folder / "config.yaml"
        path.write_text(text)
        return load_config(path).settings

    def prepare(self, *parts: str, output: str = "prepared") -> GraphManifest:
        """Prepares with a configuration of parts of YAML, into a folder."""
        return preparation.prepare(
            self.settings(*parts),
            str(self.folder / output),
            memory_limit_bytes=1 << 28,
            num_threads=1,
        )

    def graph(self, output: str = "prepared") -> PreparedGraph:
        """Opens what `prepare` wrote."""
        return PreparedGraph.open(str(self.folder / output))

    def vocabulary(self, entity_type: str, output: str = "prepared") -> list[Any]:
        """Returns the ids of an entity type in the order of their indices."""
        table = self.graph(output).load_vocabulary(entity_type)
        assert table["index"].to_pylist() == list(range(len(table)))
        ids: list[Any] = table["id"].to_pylist()
        return ids

    def edges(self, split: str, output: str = "prepared") -> list[Edge]:
        """Returns the edges of a split with their ids again, sorted.

        An index without an id, of a row that rare ids share, becomes None.
        """
        graph = self.graph(output)
        ids = {
            entity_type.name: [
                *self.vocabulary(entity_type.name, output),
                *[None] * entity_type.num_entities,
            ]
            for entity_type in graph.schema.entity_types
        }
        edges = []
        for row in self.rows(split, output):
            relation = graph.schema.relations[row["rel"]]
            lhs, rhs = ids[relation.lhs][row["lhs"]], ids[relation.rhs][row["rhs"]]
            edges.append((lhs, relation.name, rhs))
        return sorted(edges, key=repr)

    def rows(self, split: str, output: str = "prepared") -> list[dict[str, Any]]:
        """Returns the encoded edges of a split, in the order of the files."""
        files = self.graph(output).edge_files(split)
        return [row for file in files for row in pq.read_table(file).to_pylist()]
