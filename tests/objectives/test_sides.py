"""One objective over the sides of retrieval."""

import torch

from optical_sweeps.objectives import Contrastive, mean_output
from tests.support.objective_batches import embeddings, ids


def test_the_loss_is_the_mean_over_sides_and_one_side_is_the_objective_itself():
    query = embeddings([2, 3], seed=1), embeddings([3, 2], seed=2)
    document = embeddings([4, 1], seed=3), embeddings([2, 2], seed=4)
    objective = Contrastive()
    one, other = (objective(*side, ids(2)) for side in (query, document))
    both = mean_output({"query": one, "document": other})
    torch.testing.assert_close(both.loss, (one.loss + other.loss) / 2)
    assert both.diagnostics["document_positive_score"] == other.diagnostics["positive_score"]
    assert mean_output({"document": other}) is other
