# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Finds metrics by what they are: the names of docs/evaluation.md."""

from collections.abc import Mapping
from dataclasses import dataclass

_LINKS, _LISTS = "link_prediction", "retrieval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure, for the model and for the order by popularity.

    Attributes:
      title: "MRR", "Recall@20".
      name: The model's name behind the split: "retrieval/recall@20".
      popularity: That of popularity.
    """

    title: str
    name: str
    popularity: str

    def of(
        self, metrics: Mapping[str, float], split: str, suffix: str = ""
    ) -> tuple[float | None, float | None]:
        """Returns the model's value and popularity's, None where not measured."""
        return (
            metrics.get(f"{split}/{self.name}{suffix}"),
            metrics.get(f"{split}/{self.popularity}{suffix}"),
        )


def link_metric(kind: str, title: str) -> Metric:
    """Returns a filtered measure of link prediction, "mrr" or "hits@10"."""
    return Metric(
        title=title,
        name=f"{_LINKS}/filtered/{kind}",
        popularity=f"{_LINKS}/popularity/filtered/{kind}",
    )


def list_metric(kind: str, title: str) -> Metric:
    """Returns a measure of retrieval, "recall@20"."""
    return Metric(
        title=title,
        name=f"{_LISTS}/{kind}",
        popularity=f"{_LISTS}/popularity/{kind}",
    )


def main_metrics(metrics: Mapping[str, float]) -> list[Metric]:
    """Returns the measures that say the most and that were made, at most four.

    MRR and Hits of link prediction at the largest cut up to 10; recall and NDCG
    of retrieval at the largest cut up to 20.
    """
    found = [link_metric("mrr", "MRR")]
    for kind, title, prefix, limit in (
        ("hits", "Hits", f"{_LINKS}/filtered", 10),
        ("recall", "Recall", _LISTS, 20),
        ("ndcg", "NDCG", _LISTS, 20),
    ):
        cut = _best_cut(metrics, f"{prefix}/{kind}@", limit)
        if cut is not None:
            make = link_metric if kind == "hits" else list_metric
            found.append(make(f"{kind}@{cut}", f"{title}@{cut}"))
    return [
        metric
        for metric in found
        if any(name.endswith(f"/{metric.name}") for name in metrics)
    ]


def best_split(metrics: Mapping[str, float]) -> str | None:
    """Returns "test" where it was measured, otherwise "valid", or None."""
    splits = {name.partition("/")[0] for name in metrics}
    return next((split for split in ("test", "valid") if split in splits), None)


def _best_cut(metrics: Mapping[str, float], part: str, limit: int) -> int | None:
    """Returns the largest cut up to the limit; the smallest where all are above."""
    cuts = {
        int(name.rpartition("@")[2])
        for name in metrics
        if f"/{part}" in name and name.rpartition("@")[2].isdigit()
    }
    small = [cut for cut in cuts if cut <= limit]
    return max(small) if small else min(cuts, default=None)
