"""Settings are checked before anything runs, and errors name the key."""

import pytest

from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import Measure
from optical_sweeps.evaluation.settings import EvaluationSettings

SOUND = {
    "measures": ["nDCG@10", "Recall@100"], "depth": 100, "encode_batch_size": 64, "memory_budget_mb": 512,
}  # fmt: skip


def test_measures_are_read_and_the_first_leads():
    settings = EvaluationSettings(**SOUND)
    assert settings.measures == (Measure("nDCG", 10), Measure("Recall", 100))
    assert str(settings.main_measure) == "nDCG@10"
    assert settings.memory_budget_bytes == 512 * 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": []}, "evaluation.measures: empty"),
        ({"measures": ["nDCG@10", "nDCG@10"]}, "evaluation.measures: a measure occurs twice"),
        ({"measures": ["P@10"]}, "evaluation.measures: 'P@10'"),
        ({"depth": 0}, "evaluation.depth: 0"),
        (
            {"depth": 50},
            "evaluation.depth: 50 documents a query do not suffice for Recall@100; raise it to 100",
        ),
        ({"memory_budget_mb": -1}, "evaluation.memory_budget_mb: -1"),
        ({"encode_batch_size": 0}, "evaluation.encode_batch_size: 0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_key(change, message):
    with pytest.raises(UserError) as error:
        EvaluationSettings(**{**SOUND, **change})
    assert str(error.value).startswith(message)
