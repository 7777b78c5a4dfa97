"""The note that says what runs share: one for all runs that share everything."""

from optical_sweeps.artifacts import MANIFEST
from optical_sweeps.runs.prepared_note import is_prepared, write_note
from optical_sweeps.runs.spec.run_spec import RunSpec
from tests.support.configs import compose


def note(*overrides: str) -> str:
    study = ("data=synthetic", "languages=synthetic", "backbone=tiny", "data.documents_per_topic=2")
    return str(RunSpec.from_config(compose("train", *study, *overrides)).shared_note)


def test_runs_with_an_index_of_another_precision_have_another_note():
    assert note("index=int8") != note()
    assert note("index.encode_dtype=bfloat16") not in (note(), note("index=int8"))
    assert note("index.shard_documents=8192") == note()
    assert note("seed=1", "mixture.ratio=0.25") == note()


def test_runs_with_other_searches_have_another_note():
    assert note("search@evaluation.search=pruned") not in (note(), note("search@evaluation.search=rerank"))
    assert note("search@evaluation.search=pruned", "evaluation.search.max_loss=0.5") == note(
        "search@evaluation.search=pruned"
    )
    assert note("search@evaluation.dev_search=pruned") != note("search@evaluation.search=pruned")
    assert note("search@evaluation.dev_search=exact") == note()


def test_a_note_counts_while_the_entries_that_it_names_exist(tmp_path):
    entries = [tmp_path / "teacher" / "a", tmp_path / "index" / "b"]
    for entry in entries:
        entry.mkdir(parents=True)
        (entry / MANIFEST).touch()
    note = tmp_path / "prepared" / "note.json"
    assert not is_prepared(note)
    write_note(note, entries)
    assert is_prepared(note)
    (entries[1] / MANIFEST).unlink()
    assert not is_prepared(note)
