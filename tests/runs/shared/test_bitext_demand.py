"""What a sweep needs of the bitext, told without reading more than one pair."""

import json

import pytest
from rich.cells import cell_len

from optical_sweeps.corpora.packed import PackedStrings
from optical_sweeps.runs.distillation.retrieval_run import RetrievalRun
from optical_sweeps.runs.shared.bitext_demand import BitextDemand, LanguageDemand, bitext_notes, expected_union
from tests.support.small_files_study import PAIRS, files_run, write_files
from tests.support.user_errors import failure


@pytest.fixture
def folder(tmp_path):
    write_files(tmp_path)
    return tmp_path


def notes(*runs: RetrievalRun) -> dict[str, object]:
    found = RetrievalRun.plan_notes({demand for each in runs if (demand := each.demand()) is not None})
    return json.loads(json.dumps(found.facts))


def test_pairs_sentences_and_bytes_come_from_the_packed_files(folder, monkeypatch):
    runs = [files_run(folder, "mixture.total=40", f"mixture.ratio={ratio}") for ratio in (0, 0.5, 1)]
    for each in runs:
        each.check(devices=False)

    def refuse(*_: object) -> None:
        raise AssertionError("a text is read")

    texts = PackedStrings.__getitem__
    monkeypatch.setattr(PackedStrings, "__getitem__", lambda self, key: refuse() if key else texts(self, key))
    for method in ("__iter__", "encoded"):
        monkeypatch.setattr(PackedStrings, method, refuse)
    facts = notes(*runs)
    german, finnish = facts["bitext"]["de"], facts["bitext"]["fi"]
    assert (german["pairs"], german["read"], finnish["pairs"]) == (PAIRS, PAIRS, 40)
    assert (german["least"], german["most"], german["distinct"]) == (0, 40, 40)
    files = [path for path in (folder / "cache").glob("de-*/*") if path.suffix in (".bin", ".offsets")]
    assert german["packed"]["total"] == sum(path.stat().st_size for path in files)
    assert facts["encode"]["sentences"] == 80
    # 80 queries of 32 tokens with [MASK]: 128 floats a vector, and the tokens of both sides
    assert facts["encode"]["stored_bytes"] == 80 * 32 * (128 * 4 + 10)
    assert facts["encode"]["cpu_seconds"] > facts["encode"]["gpu_seconds"] > 0


def test_half_precision_and_the_online_teacher_store_less(folder):
    def stored(*overrides: str) -> int:
        return notes(files_run(folder, "mixture.total=40", *overrides))["encode"]["stored_bytes"]

    full = stored()
    assert full > stored("training.teacher_precision=float16") > stored("training.teacher_precision=int8")
    assert stored("training.teacher=online") < full / 10


def test_seeds_draw_other_pairs_and_other_runs_add_nothing(folder):
    one, other = (files_run(folder, "mixture.total=40", "mixture.ratio=0", f"seed={seed}") for seed in (1, 2))
    drawn = notes(one, other)["bitext"]["de"]
    assert drawn["distinct"] == expected_union(PAIRS, [40, 40]) == 76
    assert one.demand() == files_run(folder, "mixture.total=40", "mixture.ratio=0", "seed=1").demand()
    assert files_run(folder, "objective=none").demand() is None
    assert bitext_notes([]).facts == {}


def test_the_screen_is_short(folder):
    demand = files_run(folder, "mixture.total=40", "mixture.ratio=0.5").demand()
    assert isinstance(demand, BitextDemand)
    rows = bitext_notes([demand]).rows
    assert [label for label, _ in rows] == ["bitext", "", "pair 1", "", "encode", ""]
    assert rows[0][1].startswith("de  400 pairs, packed, ")
    assert rows[0][1].endswith("a run draws 20, all runs 20")
    assert rows[2][1] == "English: English sentence 0 | de: de 0"
    assert rows[4][1] == "at most 40 English sentences, each once; those in the store are reused"


def test_a_long_first_pair_is_shortened_to_the_screen():
    demand = LanguageDemand(1, 1, None, 1, 1, 1, ("word " * 50, "\u732b\n" * 50))
    line = demand.sample("ja", width=60)
    assert line.startswith("English: word word word w")
    assert " | ja: \u732b" in line
    assert line.count("…") == 2
    assert cell_len(line) <= 60


def test_a_language_in_another_spelling_names_the_corpus_spelling(folder):
    message = failure(files_run(folder, "languages.low=[fin]").check)
    assert message == "languages.low: fin not in data.languages, which has de, fi; did you mean fi?"


def test_a_budget_that_a_language_cannot_fill_names_it_with_its_numbers(folder):
    message = failure(files_run(folder, "mixture.total=100", "mixture.ratio=0.5").check)
    assert message == (
        "mixture.total: 50 pairs of languages.low are requested; the shortest language is fi, which needs "
        "50 and has 40; lower mixture.total, raise mixture.max_repeats, or add bitext of fi"
    )
