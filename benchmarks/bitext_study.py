"""A synthetic study of any size: bitext of many languages, a small collection, and a config folder for it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

HIGH, LOW = ("de", "es", "fr", "it", "pt"), ("cs", "da", "fi", "sw", "yo")
LANGUAGES = (*HIGH, *LOW)
VOCABULARY = 20_000
WORDS = (6, 20)
"""Fewest and most words of a sentence."""
BLOCK = 10_000
SHARED = 10
"""One English text in so many is the same in every language."""
REPEATED = 50
"""One pair in so many repeats the pair before it."""
DOCUMENTS, JUDGED = 300, 40

CONFIG = """
_target_: optical_sweeps.corpora.builders.assembled.AssembledCorpus
collections:
  _target_: optical_sweeps.corpora.builders.files.FilesCorpus
  root: {root}
  languages: {languages}
  bitext_file: unused.{{language}}.tsv
bitexts:
  _target_: optical_sweeps.corpora.bitext_sources.BitextSources
  sources: [{{files: "{root}/bitext.{{language}}.tsv"}}]
  cache: ${{paths.artifacts}}/bitext
teacher_pairs:
  _target_: optical_sweeps.corpora.builders.pair_sources.FilePairs
  file: {root}/pairs.tsv
"""


def write_study(folder: Path, languages: Sequence[str], pairs: int) -> int:
    """Write a study with so many pairs of each language into a folder; returns the bytes of its bitext."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, language in enumerate(languages):
        path = folder / f"bitext.{language}.tsv"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("w", encoding="utf-8") as file:
                file.writelines(_lines(pairs, number))
            part.rename(path)
    _write_collection(folder, languages)
    (folder / "conf" / "data").mkdir(parents=True, exist_ok=True)
    config = CONFIG.format(root=folder, languages=f"[{', '.join(languages)}]")
    (folder / "conf" / "data" / "large_bitext.yaml").write_text(config, encoding="utf-8")
    return sum((folder / f"bitext.{language}.tsv").stat().st_size for language in languages)


def _lines(pairs: int, language: int) -> Iterator[str]:
    """Lines of English and translation; some pairs are repeated, some English texts are in all languages."""
    english_words, words = _vocabulary(0), _vocabulary(1 + language)
    for number, start in enumerate(range(0, pairs, BLOCK)):
        count = min(BLOCK, pairs - start)
        shared = _sentences(english_words, count // SHARED, seed=[0, number])
        english = shared + _sentences(english_words, count - len(shared), seed=[1 + language, number])
        translations = _sentences(words, count, seed=[1 + language, number, 1])
        for place in range(REPEATED - 1, count, REPEATED):
            english[place], translations[place] = english[place - 1], translations[place - 1]
        yield from (f"{one}\t{other}\n" for one, other in zip(english, translations, strict=True))


def _vocabulary(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    letters = list("aeioukstnmlr")
    return np.array(["".join(rng.choice(letters, rng.integers(2, 9))) for _ in range(VOCABULARY)])


def _sentences(words: np.ndarray, count: int, seed: Sequence[int]) -> list[str]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(WORDS[0], WORDS[1] + 1, count)
    drawn = words[rng.integers(0, len(words), int(lengths.sum()))].tolist()
    ends = np.cumsum(lengths).tolist()
    return [" ".join(drawn[end - length : end]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def _write_collection(folder: Path, languages: Sequence[str]) -> None:
    """Documents, a few queries of each language, and pairs to train a teacher on."""
    titles, texts = (_sentences(_vocabulary(0), DOCUMENTS, seed=[99, side]) for side in (0, 1))
    rows = [f"d{row}\t{title}\t{text}\n" for row, (title, text) in enumerate(zip(titles, texts, strict=True))]
    (folder / "docs.tsv.gz").write_text("".join(rows), encoding="utf-8")  # the content tells that it is plain
    pairs = [f"{title}\t{text}\n" for title, text in zip(titles, texts, strict=True)][2 * JUDGED :]
    (folder / "pairs.tsv").write_text("".join(pairs), encoding="utf-8")
    for number, language in enumerate(languages):
        (folder / language).mkdir(exist_ok=True)
        (folder / f"unused.{language}.tsv").write_text("one\tother\n", encoding="utf-8")
        for start, split in ((0, "dev"), (JUDGED, "test")):
            queries = _sentences(_vocabulary(1 + number), JUDGED, seed=[98, number, start])
            lines = [f"q{row}\t{query}\n" for row, query in enumerate(queries)]
            (folder / language / f"queries.{split}.tsv").write_text("".join(lines), encoding="utf-8")
            judged = [f"q{row} 0 d{start + row} 1\n" for row in range(JUDGED)]
            (folder / language / f"qrels.{split}.txt").write_text("".join(judged), encoding="utf-8")
