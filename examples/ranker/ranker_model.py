# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""A small DLRM: embeddings, a dense tower, products of all pairs, a top.

Reference: Naumov et al., "Deep Learning Recommendation Model for Personalization
and Recommendation Systems", arXiv 1906.00091.

Letters in shapes: B pairs of a batch, D the length of a TwHIN vector, W the width of
what is multiplied, F the number of those vectors.
"""

import torch
from torch import Tensor, nn
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.modules.embedding_modules import EmbeddingBagCollection

from examples.ranker.batches import FEATURES, NUM_DENSE, Batch

_WIDTH = 32
_INIT_SCALE = 0.05


class RankerModel(nn.Module):
    """Gives the logit that a user acts on an item."""

    def __init__(
        self, *, num_users: int, num_items: int, twhin_dim: int | None
    ) -> None:
        """Creates the parameters from torch's global generator.

        Args:
          num_users: Rows of the user table.
          num_items: Rows of the tables of items and of histories.
          twhin_dim: D; None for a model without TwHIN vectors.
        """
        super().__init__()
        self.embeddings = EmbeddingBagCollection(
            tables=[
                _table("user_table", num_users, ["user"]),
                _table("item_table", num_items, ["item"]),
                _table("history_table", num_items, ["history"], PoolingType.MEAN),
            ]
        )
        self.dense_tower = nn.Sequential(
            nn.Linear(NUM_DENSE, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH)
        )
        num_vectors = len(FEATURES) + 1
        num_products = 0
        self.projection: nn.Linear | None = None
        if twhin_dim is not None:
            # One projection for both: products of the projected vectors then
            # begin near those of the vectors.
            self.projection = nn.Linear(twhin_dim, _WIDTH)
            nn.init.orthogonal_(self.projection.weight)
            num_vectors += 2
            num_products = 1
        num_products += num_vectors * (num_vectors - 1) // 2
        self.top = nn.Sequential(
            nn.Linear(_WIDTH + num_products, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Returns the logits, [B] float32."""
        dense = self.dense_tower(batch.dense)
        pooled = self.embeddings(batch.sparse).to_dict()
        vectors = [dense, *(pooled[name] for name in FEATURES)]
        products = []
        if self.projection is not None and batch.twhin is not None:
            users, items = batch.twhin.unbind(1)
            vectors += [self.projection(users), self.projection(items)]
            products.append((users * items).sum(1, keepdim=True))
        products.append(_pair_products(torch.stack(vectors, dim=1)))
        logits: Tensor = self.top(torch.cat([dense, *products], dim=1))
        return logits.squeeze(1)


def _pair_products(vectors: Tensor) -> Tensor:
    """Returns the products of all pairs of [B, F, W], [B, F (F - 1) / 2]."""
    number = vectors.shape[1]
    rows, columns = torch.triu_indices(number, number, offset=1)
    return (vectors @ vectors.transpose(1, 2))[:, rows, columns]


def _table(
    name: str,
    num_rows: int,
    features: list[str],
    pooling: PoolingType = PoolingType.SUM,
) -> EmbeddingBagConfig:
    def initialize(weight: Tensor) -> None:
        nn.init.normal_(weight, std=_INIT_SCALE)

    return EmbeddingBagConfig(
        name=name,
        num_embeddings=num_rows,
        embedding_dim=_WIDTH,
        feature_names=features,
        pooling=pooling,
        init_fn=initialize,
    )
