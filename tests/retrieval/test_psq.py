"""Word counts from plans, and structured queries, compared with their definitions."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from optical_sweeps.corpora.words import word_spans, words
from optical_sweeps.encoders.build_encoder import build_token_encoder
from optical_sweeps.encoders.encoder_settings import TokenEncoderSettings
from optical_sweeps.encoders.tiny_backbone import TinyBackbone
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.psq import ProbabilisticIndex, StructuredQueries
from optical_sweeps.retrieval.word_alignment import AlignmentSettings, align_words, token_spans
from optical_sweeps.retrieval.word_counts import WordCounts
from optical_sweeps.transport import Exact, Partial, Sinkhorn

TEXTS = ["a red house", "the red red car", "blue car by the house", "a blue whale", ""]
IDS = ["d3", "d1", "d2", "d0", "d4"]


def counts_of(aligned) -> WordCounts:
    """Counts from triples of source word, target word and count."""
    own, other, counts = zip(*aligned, strict=True)
    source, target = sorted(set(own)), sorted(set(other))
    positions = ([source.index(word) for word in own], [target.index(word) for word in other])
    matrix = sparse.coo_array((np.array(counts, float), positions), (len(source), len(target)))
    return WordCounts(tuple(source), tuple(target), matrix.tocsr())


@given(st.text())
def test_word_spans_are_the_positions_of_the_words(text):
    for word, start, end in word_spans(text):
        assert 0 <= start < end <= len(text)
        assert word in words(text[start:end])
        if unicodedata.is_normalized("NFKC", unicodedata.normalize("NFC", text)):  # not 1/2 in one character
            assert words(text[start:end]) == [word]


def test_words_keep_combining_marks():
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("Cafe\u0301 café") == ["café", "café"]


def test_identity_translations_give_bm25():
    queries, names = ["red car", "house whale house", "nothing", ""], ["a", "b", "c", "d"]
    counts = counts_of((word, word, 1.0) for text in TEXTS for word in set(words(text)))
    structured = ProbabilisticIndex(IDS, TEXTS).search(names, queries, counts, 3)
    plain = LexicalIndex(IDS, TEXTS).search(names, queries, 3)
    assert structured.documents == plain.documents
    for one, other in zip(structured.scores, plain.scores, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_scores_follow_the_formula_of_the_paper():
    counts = counts_of([("talo", "house", 3.0), ("talo", "car", 1.0)])
    found = ProbabilisticIndex(IDS, TEXTS, k1=1.2, b=0.5).search(
        ["q"], ["talo"], counts, 5, StructuredQueries(cumulative=1.0, size=None)
    )
    lengths = np.array([max(len(words(text)), 1) for text in TEXTS])
    slow = {}
    for name, text, length in zip(IDS, TEXTS, lengths, strict=True):
        tf = sum(p * words(text).count(e) for e, p in (("house", 0.75), ("car", 0.25)))
        df = 0.75 * 2 + 0.25 * 2
        idf = np.log(1 + (5 - df + 0.5) / (df + 0.5))
        if tf:
            slow[name] = idf * tf / (tf + 1.2 * (1 - 0.5 + 0.5 * length / lengths.mean()))
    assert dict(zip(found.documents[0], found.scores[0].tolist(), strict=True)) == pytest.approx(slow, rel=1e-5)


def test_a_word_without_translation_is_kept_or_dropped():
    counts = counts_of([("talo", "house", 1.0)])
    index = ProbabilisticIndex(IDS, TEXTS)
    assert index.search(["q"], ["whale"], counts, 5).documents == (("d0",),)
    assert index.search(["q"], ["whale"], counts, 5, StructuredQueries(unknown="drop")).documents == ((),)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"cumulative": 1.5}, "cumulative"), ({"size": 0}, "size"), ({"unknown": "spell"}, "unknown")],
)
def test_invalid_settings_are_reported_with_their_key(settings, key):
    with pytest.raises(UserError, match=rf"^psq\.queries\.{key}: "):
        StructuredQueries(**settings)


matrices = st.lists(
    st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any), min_size=1, max_size=5
).map(np.array)


@given(matrices, st.floats(0, 1), st.integers(1, 4))
def test_limited_translations_are_the_most_probable_and_sum_to_one(counts, cumulative, size):
    rows, columns = counts.shape
    source, target = tuple(f"s{n}" for n in range(rows)), tuple(f"t{n}" for n in range(columns))
    table = WordCounts(source, target, sparse.csr_array(counts.astype(float)))
    for word in source:
        before, after = table.translations(word), table.translations(word, cumulative, size)
        assert sum(before.values()) == pytest.approx(1)
        assert sum(after.values()) == pytest.approx(1)
        kept = list(before)[: len(after)]
        assert list(after) == kept
        reached = np.cumsum(list(before.values()))
        needed = int(np.searchsorted(reached, cumulative - 1e-9)) + 1
        assert len(after) == min(size, needed, len(before))


def test_counts_are_saved_loaded_and_reversed(tmp_path):
    counts = counts_of([("talo", "house", 3.0), ("talo", "home", 1.0), ("koti", "home", 1.0)])
    counts.save(tmp_path)
    again = WordCounts.load(tmp_path)
    assert again.lexicon() == counts.lexicon()
    assert again.reversed().translations("home") == {"koti": 0.5, "talo": 0.5}


PAIRS = [("punainen talo", "red house"), ("sininen auto", "blue car"), ("talo", "house"), ("auto on", "car is")]


def encoder_of(**settings):
    texts = [text for pair in PAIRS for text in pair]
    return build_token_encoder(
        TokenEncoderSettings(dim=16, query_length=24, document_length=24, **settings),
        TinyBackbone(layers=1, hidden_size=32, vocabulary_size=90, positions=64),
        texts,
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"query_augmentation": True, "use_special_tokens": True}, {"query_marker": "[Q]"}],
)
@pytest.mark.parametrize("centre", [True, False])
def test_a_text_aligned_with_itself_translates_words_to_themselves(settings, centre):
    texts = ["punainen talo", "sininen auto", "talo ja auto", "東京都 talo"]
    counts = align_words(encoder_of(**settings), texts, texts, AlignmentSettings(centre=centre))
    for word in ("punainen", "sininen", "talo", "auto"):
        assert next(iter(counts.translations(word))) == word
        assert counts.translations(word)[word] == pytest.approx(1, abs=1e-4)


def test_counts_are_the_mass_of_plans_summed_by_words():
    """Compared with one pair at a time, token by token."""
    import torch

    from optical_sweeps.transport import TransportProblem

    encoder, solver = encoder_of(), Sinkhorn(epsilon=0.1)
    source, target = zip(*PAIRS, strict=True)
    counts = align_words(encoder, source, target, AlignmentSettings(solver=solver, centre=False))
    slow: dict[tuple[str, str], float] = {}
    prefix = encoder.settings.query_prefix
    for one, other in PAIRS:
        sides = []
        for text in (one, other):
            spans = encoder.text_tokenizer.rust_tokenizer.encode(
                prefix + text, add_special_tokens=False
            ).offsets
            middle = [(s + e) / 2 - len(prefix) for s, e in spans if (s + e) / 2 > len(prefix) - 0.5]
            found = word_spans(text)
            owner = [next((w for w, s, e in found if s <= at < e), None) for at in middle]
            sides.append((torch.from_numpy(encoder.encode([text], "query").vectors), owner))
        (left, left_words), (right, right_words) = sides
        assert (len(left), len(right)) == (len(left_words), len(right_words))
        plan = solver(TransportProblem.uniform((1 - left @ right.T)[None])).matrix[0]
        for i, f in enumerate(left_words):
            for j, e in enumerate(right_words):
                if f and e:
                    slow[f, e] = slow.get((f, e), 0) + float(plan[i, j]) * len(left)
    dense = counts.matrix.toarray()
    for (f, e), value in slow.items():
        assert dense[counts.source.index(f), counts.target.index(e)] == pytest.approx(value, abs=5e-3)


def test_special_tokens_have_no_span_even_in_a_truncated_text():
    encoder = encoder_of(use_special_tokens=True, use_prefix_tokens=True)
    texts = ["talo", " ".join(["talo"] * 40)]
    tokens = encoder.tokenize_texts(texts, "query")
    found, whole = token_spans(encoder, texts, tokens)
    assert whole.tolist() == [True, False]
    for text, spans, length in zip(texts, found, tokens.lengths, strict=True):
        assert len(spans) == length
        assert spans[0, 1] <= 0
        assert spans[-1, 1] <= 0
        assert text[slice(*spans[-2])].strip() != ""


def test_facts_contain_the_settings_that_change_counts():
    def facts(mass, threads):
        return AlignmentSettings(solver=Partial(mass, Exact(threads=threads))).facts()

    assert facts(0.8, None) == facts(0.8, 2) != facts(0.7, 2)
    assert AlignmentSettings(solver=Exact()).facts() != AlignmentSettings(solver=Sinkhorn()).facts()


def test_truncated_pairs_are_skipped():
    long = " ".join(["talo"] * 40)
    counts = align_words(encoder_of(), ["talo", long], ["house", "car"])
    assert "car" not in counts.translations("talo")
    assert align_words(encoder_of(), [long], ["car"]).source == ()


def test_a_smaller_draw_is_a_subset_of_a_larger_one():
    drawn = [set(AlignmentSettings(pairs=pairs).drawn(100).tolist()) for pairs in (10, 60)]
    assert len(drawn[0]) == 10
    assert drawn[0] < drawn[1]
    assert len(AlignmentSettings(pairs=None).drawn(100)) == 100
    with pytest.raises(UserError, match=r"alignment\.pairs"):
        AlignmentSettings(pairs=0)


def test_given_target_vectors_give_the_same_counts():
    encoder = encoder_of()
    source, target = zip(*PAIRS, strict=True)
    known = encoder.encode(target, "query")
    one, other = (align_words(encoder, source, target, target_vectors=given) for given in (None, known))
    assert (one.matrix != other.matrix).nnz == 0
