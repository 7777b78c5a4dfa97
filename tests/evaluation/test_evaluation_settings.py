"""Settings are checked before a run starts, and errors name the key."""

import pytest

from optical_sweeps.corpora.perturbations.lexicon import lexicon_fingerprint
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.evaluation_settings import EvaluationSettings
from optical_sweeps.evaluation.measures import Measure

SOUND = {
    "measures": ["nDCG@10", "Recall@100"], "depth": 100, "encode_batch_size": 64, "memory_budget_mb": 512,
}  # fmt: skip


def test_measures_are_parsed_and_the_first_is_the_main_one():
    settings = EvaluationSettings(**SOUND)
    assert settings.measures == (Measure("nDCG", 10), Measure("Recall", 100))
    assert str(settings.main_measure) == "nDCG@10"
    assert settings.memory_budget_bytes == 512 * 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measures": []}, "evaluation.measures: empty"),
        ({"measures": ["nDCG@10", "nDCG@10"]}, "evaluation.measures: 'nDCG@10' is listed twice"),
        ({"measures": ["P@10"]}, "evaluation.measures: 'P@10'"),
        (
            {"measures": ["nDCG@10", "AnswerRecall@2000"]},
            "evaluation.measures: some use answers and others judgements",
        ),
        ({"depth": 0}, "evaluation.depth: 0"),
        (
            {"depth": 50},
            "evaluation.depth: 50 documents per query are not enough for Recall@100; raise it to 100",
        ),
        ({"memory_budget_mb": -1}, "evaluation.memory_budget_mb: -1"),
        ({"encode_batch_size": 0}, "evaluation.encode_batch_size: 0"),
        ({"perturbations": ["typo@1"]}, "evaluation.perturbations: 'typo@1' is not kind@level"),
        ({"perturbations": "typing@0.1"}, "evaluation.perturbations: 'typing@0.1' is not a list"),
        (
            {"perturbations": ["typing@0.1", "typing@0.10"]},
            "evaluation.perturbations: 'typing@0.1' is",
        ),
        ({"perturbation_seed": -1}, "evaluation.perturbation_seed: -1"),
        ({"lexicon": "x.tsv"}, "evaluation.lexicon: 'x.tsv' has no {language}"),
    ],
)
def test_bad_values_are_refused_by_key(change, message):
    with pytest.raises(UserError) as error:
        EvaluationSettings(**{**SOUND, **change})
    assert str(error.value).startswith(message)


def test_the_fingerprint_is_that_of_the_lexicons_that_are_read(tmp_path):
    (tmp_path / "fi.tsv").write_text("talo\thouse\n")
    files = f"{tmp_path}/{{language}}.tsv"
    reads = EvaluationSettings(**SOUND, perturbations=["code_switching@1"], lexicon=files)
    assert reads.fingerprint(("fi",)) == lexicon_fingerprint(files, ("fi",))
    assert EvaluationSettings(**SOUND, perturbations=["typing@1"], lexicon=files).fingerprint(("fi",)) is None
    assert EvaluationSettings(**SOUND, perturbations=["code_switching@1"]).fingerprint(("fi",)) is None


def test_settings_with_another_search_keep_everything_else():
    from dataclasses import replace

    from optical_sweeps.retrieval.search_settings import ExactSearch, PrunedSearch

    pruned = EvaluationSettings(measures=["nDCG@5"], perturbations=["typing@0.1"], search=PrunedSearch())
    exact = replace(pruned, search=ExactSearch())
    assert exact == EvaluationSettings(measures=["nDCG@5"], perturbations=["typing@0.1"])
