"""The texts of a vocabulary: all of small bitext, and a part of large bitext, which the key does not read."""

from optical_sweeps.corpora.packed import PackedStrings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.runs.shared.vocabulary_texts import VocabularyTexts
from tests.support.small_files_study import FEW, PAIRS, files_run, write_files


def texts(folder) -> VocabularyTexts:
    return VocabularyTexts(files_run(folder).spec)


def test_large_bitext_is_sampled_at_equal_distances(tmp_path, monkeypatch):
    write_files(tmp_path)
    everything = set(texts(tmp_path).texts)
    assert {"kissa", "a cat. a cat sat", "English sentence 399", "de 399", "fi 39"} <= everything
    assert len([text for text in everything if text.startswith("de ")]) == PAIRS
    monkeypatch.setattr(TinyBackbone, "vocabulary_pairs", 50)
    sample = set(texts(tmp_path).texts)
    assert {text for text in sample if text.startswith("de ")} == {f"de {8 * place}" for place in range(50)}
    assert len([text for text in sample if text.startswith("fi ")]) == FEW


def test_the_key_reads_no_large_bitext_and_changes_with_it(tmp_path, monkeypatch):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_files(tmp_path / name)
    with (tmp_path / "other" / "de.tsv").open("a") as file:
        file.write("one more\tnoch eins\n")
    whole = texts(tmp_path / "one").fingerprint()
    monkeypatch.setattr(TinyBackbone, "vocabulary_pairs", 50)
    large = texts(tmp_path / "one")
    german = large.spec.corpus.bitext("de")
    read = []
    get = PackedStrings.__getitem__

    def watched(self, index):
        read.append(self.stem)
        return get(self, index)

    monkeypatch.setattr(PackedStrings, "__getitem__", watched)
    fingerprint = large.fingerprint()
    assert read
    assert german.english.stem not in read
    assert fingerprint not in (whole, texts(tmp_path / "other").fingerprint())
    assert fingerprint == texts(tmp_path / "one").fingerprint()
