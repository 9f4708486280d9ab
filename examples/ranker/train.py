# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Trains rankers with and without TwHIN vectors, and compares them.

    python -m examples.ranker.train --run=OUTPUT_DIR --relation=NAME

OUTPUT_DIR is the folder of a run with its prepared graph and its exported bundle.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from examples.ranker.cached_vectors import CachedVectors
from examples.ranker.local_server import serve
from examples.ranker.ranking_graph import RankingGraph, load_ranking_graph
from examples.ranker.training import Outcome, train_ranker
from twhin.client.open_source import open_source
from twhin.errors import TwhinError

_USAGE_EXIT_CODE = 2
_WITHOUT, _PAST, _WITH = _KINDS = ("without", "without, past", "with TwHIN")


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Trains rankers with and without TwHIN vectors."
    )
    parser.add_argument("--run", type=Path, required=True, help="the folder of a run")
    parser.add_argument("--relation", required=True, help="what is predicted")
    parser.add_argument("--seeds", type=int, default=5, help="rankers of each kind")
    parser.add_argument(
        "--source",
        help="a bundle's folder or HOST:PORT; without it the run's bundle, served by a"
        " server of its own",
    )
    given = parser.parse_args(arguments)
    try:
        graph = load_ranking_graph(str(given.run / "prepared"), given.relation)
        with contextlib.ExitStack() as stack:
            name = given.source or stack.enter_context(serve(given.run / "bundle"))
            source = stack.enter_context(contextlib.closing(open_source(name)))
            vectors = (
                CachedVectors(source, graph.user_type, graph.user_ids),
                CachedVectors(source, graph.item_type, graph.item_ids),
            )
            _say(_describe(graph, name))
            _compare(graph, vectors, given.seeds)
    except TwhinError as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE_EXIT_CODE
    return 0


def _describe(graph: RankingGraph, name: str) -> str:
    return (
        f"{len(graph.learning.user):,} {graph.user_type}-{graph.item_type} edges to"
        f" learn from, {len(graph.test.user):,} to measure; 4 pairs without an edge"
        f" for each; vectors from {name}"
    )


def _compare(
    graph: RankingGraph, vectors: tuple[CachedVectors, CachedVectors], seeds: int
) -> None:
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in _KINDS}
    _say(f"{'seed':>4}  {'ranker':<13}  {'AUC':>7}  {'RCE %':>7}  epochs   secs")
    for seed in range(seeds):
        for kind in _KINDS:
            started = time.perf_counter()
            used = vectors if kind == _WITH else None
            outcome = train_ranker(graph, used, seed, learns_past=kind == _PAST)
            outcomes[kind].append(outcome)
            secs = time.perf_counter() - started
            _say(
                f"{seed:>4}  {kind:<13}  {outcome.auc:7.4f}  {outcome.rce:7.2f}"
                f"  {outcome.num_epochs:>6}  {secs:5.1f}"
            )
    auc = {kind: np.array([o.auc for o in outcomes[kind]]) for kind in _KINDS}
    rce = {kind: np.array([o.rce for o in outcomes[kind]]) for kind in _KINDS}
    for kind in _KINDS:
        _say(
            f"{'mean':>4}  {kind:<13}  {_spread(auc[kind], 4)}  {_spread(rce[kind], 2)}"
        )
    for kind in (_WITHOUT, _PAST):
        gains = _spread(auc[_WITH] - auc[kind], 4), _spread(rce[_WITH] - rce[kind], 2)
        _say(f"gain over {kind!r}: AUC {gains[0]}, RCE {gains[1]} points")
    asked = sum(each.num_asked for each in vectors)
    _say(f"{asked:,} vectors were looked up, each once")


def _spread(values: np.ndarray, digits: int) -> str:
    """Returns mean and standard deviation."""
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():.{digits}f} +- {deviation:.{digits}f}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
