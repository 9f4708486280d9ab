# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""From raw edges to a prepared graph."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from twhin.config import paths
from twhin.config.settings import RawEdges, TrainConfig
from twhin.errors import DataError
from twhin.graph.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    SPLITS,
    GraphManifest,
    InputFile,
    load_manifest,
)
from twhin.graph.prepare import (
    edge_views,
    encoding,
    id_types,
    input_files,
    relations,
    source_columns,
    source_survey,
    warnings,
)
from twhin.graph.prepare.aside_folder import aside_folder, check_replaceable
from twhin.graph.prepare.base_vocabulary import BaseVocabulary, load_base
from twhin.graph.prepare.duckdb_engine import DuckDBEngine
from twhin.graph.prepare.engine import Engine, Progress, silent
from twhin.graph.prepare.input_files import RawSource
from twhin.graph.prepare.relations import GraphRelations
from twhin.graph.prepare.source_survey import SourceSurvey
from twhin.graph.prepare.vocabulary import Vocabulary, VocabularyWriter
from twhin.graph.schema import EntityTypeSchema, GraphSchema

_LOG = logging.getLogger(__name__)

EngineFactory = Callable[[Path], Engine]
"""Makes an engine that keeps intermediate files in the given empty folder."""


def prepare(
    settings: TrainConfig,
    output_dir: str,
    *,
    memory_limit_bytes: int,
    num_threads: int,
    progress: Progress = silent,
) -> GraphManifest:
    """Prepares the raw edges of a configuration on this machine, or finds it done.

    Args:
      settings: The configuration; `data.raw` must be set.
      output_dir: The folder to write; an earlier preparation there is replaced,
        unless it was made from the same inputs with the same settings.
      memory_limit_bytes: The bound on the engine's buffers; more goes to disk.
      num_threads: Threads of the engine, at least 1.
      progress: Told about the steps.

    Returns:
      The manifest of the folder.

    Raises:
      DataError: The inputs cannot be used or the output cannot be written; the
        output is as it was before.
    """
    return prepare_with(
        settings,
        output_dir,
        make_engine=lambda work: DuckDBEngine(
            work,
            memory_limit_bytes=memory_limit_bytes,
            num_threads=num_threads,
            progress=progress,
        ),
        progress=progress,
    )


def prepare_with(
    settings: TrainConfig,
    output_dir: str,
    *,
    make_engine: EngineFactory,
    progress: Progress,
) -> GraphManifest:
    """Prepares with an engine of the caller's choice; see `prepare`."""
    raw = raw_edges(settings)
    target = Path(os.path.abspath(output_dir))
    check_replaceable(target)
    progress("inputs", 0.0)
    base = load_base(base_folder(settings, raw))
    sources = input_files.find_sources(raw, settings.data.root)
    inputs = input_files.digest_inputs(
        sources, settings.data.root, lambda fraction: progress("inputs", fraction)
    )
    digest = _digest(settings, raw, inputs, base)
    if (target / MANIFEST_FILE).exists():
        manifest = _current(target, digest)
        if manifest is not None:
            _LOG.info("prepared graph is current folder=%s", target)
            return manifest
    try:
        with aside_folder(target) as aside:
            work = aside / "work"
            work.mkdir()
            engine = make_engine(work)
            try:
                manifest = _prepare(
                    engine, settings, raw, sources, inputs, base, digest, aside
                )
            finally:
                engine.close()
            shutil.rmtree(work)
            (aside / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error}); allowed: a folder with free space"
        ) from error
    return manifest


def is_current(settings: TrainConfig, output_dir: str) -> bool:
    """Returns whether a folder holds what `prepare` would write.

    Raises:
      DataError: The inputs cannot be read.
    """
    raw = raw_edges(settings)
    target = Path(os.path.abspath(output_dir))
    if not (target / MANIFEST_FILE).exists():
        return False
    sources = input_files.find_sources(raw, settings.data.root)
    inputs = input_files.digest_inputs(sources, settings.data.root)
    digest = _digest(settings, raw, inputs, load_base(base_folder(settings, raw)))
    return _current(target, digest) is not None


def survey_sources(
    engine: Engine, sources: Sequence[RawSource]
) -> tuple[SourceSurvey, ...]:
    """Opens every source and looks at it once.

    Raises:
      DataError: A file, a column or a value is wrong.
    """
    columns = [source_columns.read_columns(source) for source in sources]
    surveys = []
    for source, each in zip(sources, columns, strict=True):
        engine.begin(f"reading {source.where}")
        engine.open_source(source, each)
        surveys.append(source_survey.survey(engine, source, each))
    if not any(s.num_edges for s in surveys if s.source.split == "train"):
        raise DataError(
            "data.raw.train: the filters leave no edge; allowed: at least one training"
            " edge"
        )
    return tuple(surveys)


def _prepare(
    engine: Engine,
    settings: TrainConfig,
    raw: RawEdges,
    sources: Sequence[RawSource],
    inputs: tuple[InputFile, ...],
    base: BaseVocabulary | None,
    digest: str,
    output: Path,
) -> GraphManifest:
    surveys = survey_sources(engine, sources)
    graph_relations = relations.expand(
        settings.graph, raw.holdout.relations, surveys, engine
    )
    base_ids = base.id_types() if base else {}
    ids = id_types.choose_id_types(engine, surveys, graph_relations, base_ids)
    engine.begin("splits")
    edges = edge_views.define_edges(engine, raw, surveys, graph_relations, ids)
    writer = VocabularyWriter(engine, raw, graph_relations, edges, base, output)
    vocabularies = {
        entity_type.name: writer.write(
            entity_type, index, ids.get(entity_type.name, "")
        )
        for index, entity_type in enumerate(settings.graph.entity_types)
    }
    splits = {
        split: encoding.write_split(
            engine,
            split,
            relations=graph_relations,
            edges=edges,
            vocabularies=vocabularies,
            num_filtered=sum(
                survey.num_filtered
                for survey in surveys
                if survey.source.split == split
            ),
            output=output,
        )
        for split in SPLITS
    }
    if not splits["train"].num_edges:
        raise DataError(
            "data.raw: no training edge is left; allowed: a smaller min_degree, or a"
            " smaller holdout"
        )
    return GraphManifest(
        format_version=FORMAT_VERSION,
        digest=digest,
        schema=_schema(graph_relations, vocabularies),
        weighted=edges.weighted,
        splits=splits,
        vocabularies=tuple(v.manifest for v in vocabularies.values()),
        inputs=inputs,
        warnings=warnings.find_warnings(surveys, graph_relations),
    )


def _schema(
    graph_relations: GraphRelations, vocabularies: dict[str, Vocabulary]
) -> GraphSchema:
    return GraphSchema(
        entity_types=tuple(
            EntityTypeSchema(name=name, num_entities=vocabulary.num_rows)
            for name, vocabulary in vocabularies.items()
        ),
        relations=graph_relations.schema,
    )


def raw_edges(settings: TrainConfig) -> RawEdges:
    """Returns the raw edges of a configuration.

    Raises:
      DataError: It has another source of edges.
    """
    if settings.data.raw is None:
        raise DataError("data.raw: missing; allowed: sources of raw edges")
    return settings.data.raw


def base_folder(settings: TrainConfig, raw: RawEdges) -> str | None:
    """Returns the folder of the base vocabulary; None where there is none."""
    if raw.base_vocabulary is None:
        return None
    return paths.join(settings.data.root, raw.base_vocabulary)


def _current(target: Path, digest: str) -> GraphManifest | None:
    """Returns the manifest of a folder if it has the digest and can be read."""
    try:
        manifest = load_manifest(str(target))
    except DataError:
        return None
    return manifest if manifest.digest == digest else None


def _digest(
    settings: TrainConfig,
    raw: RawEdges,
    inputs: tuple[InputFile, ...],
    base: BaseVocabulary | None,
) -> str:
    """Returns a digest of everything that shapes the output."""
    shape = {
        "format_version": FORMAT_VERSION,
        "entity_types": [
            (t.name, t.num_entities, t.min_degree, t.max_entities, t.rare_entities)
            for t in settings.graph.entity_types
        ],
        "relations": [
            (r.name, r.lhs, r.rhs, r.undirected) for r in settings.graph.relations
        ],
        "raw": dataclasses.asdict(raw),
        "inputs": [(file.size_bytes, file.digest) for file in inputs],
        "base": base and base.digest,
    }
    text = json.dumps(shape, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
