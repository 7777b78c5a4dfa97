"""The note that says what runs share: one for those that share all of it."""

from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.sweeps.preparation import marker_of
from tests.support.configs import compose


def marker(*overrides: str) -> str:
    study = ("data=synthetic", "languages=synthetic", "backbone=tiny", "data.documents_per_topic=2")
    return str(marker_of(RunSpec.from_config(compose("train", *study, *overrides))))


def test_runs_over_an_index_of_another_precision_have_a_note_of_their_own():
    assert marker("index=int8") != marker()
    assert marker("index.encode_dtype=bfloat16") not in (marker(), marker("index=int8"))
    assert marker("index.shard_documents=8192") == marker()
    assert marker("seed=1", "mixture.ratio=0.25") == marker()
