# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Training that starts near the neighbours of each entity."""

from pathlib import Path

from tests.train_command import TrainCommand


def test_rows_that_start_near_their_neighbors_rank_better(
    tmp_path: Path,
) -> None:
    def mrr(num_hops: int) -> float:
        command = TrainCommand(
            tmp_path / f"run-{num_hops}",
            num_ranks=2,
            overrides=[
                "training.max_steps=1",
                "model.embedding_dim=64",
                "optimizer.learning_rate=1e-6",
                f"model.init_hops={num_hops}",
            ],
        )
        command.run()
        value = command.metrics()["test/link_prediction/filtered/mrr"]
        assert isinstance(value, float)
        return value

    near, random = mrr(2), mrr(0)
    assert near > 1.5 * random
