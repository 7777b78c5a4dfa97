"""A lexicon into English, read from files or estimated from bitext."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from optical_sweeps.checks import check_file
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.collections import CollectionSource, Corpus
from optical_sweeps.corpora.perturbations.interface import Perturbation
from optical_sweeps.corpora.perturbations.units import case_folded, words
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError

KEY = "evaluation.lexicon"
MAX_PAIRS = 50_000
"""Largest number of pairs of a bitext that are counted."""
MIN_COUNT = 2
"""Smallest number of pairs in which two words occur together."""
MIN_DICE = 0.3


def lexicon_for(corpus: CollectionSource, language: str, files: str | None) -> Mapping[str, str]:
    """The lexicon of one language: from its file, or from the corpus's bitext if `files` is None.

    Raises:
        UserError: the file is invalid, or there is neither a file nor bitext.
    """
    if files is not None:
        return read_lexicon(Path(files.format(language=language)))
    return estimate_lexicon(_bitext(corpus, language))


def check_perturbations(
    perturbations: Sequence[Perturbation], corpus: CollectionSource, languages: Sequence[str], files: str | None
) -> None:
    """Refuse, before any work, a perturbation whose package or lexicon is missing.

    Raises:
        UserError: a package is missing, or both bitext and lexicon are.
    """
    for perturbation in perturbations:
        perturbation.check()
        for language in languages if perturbation.needs_lexicon else ():
            if files is None:
                _bitext(corpus, language)
            else:
                read_lexicon(Path(files.format(language=language)))


@lru_cache(maxsize=32)
def estimate_lexicon(bitext: Bitext) -> Mapping[str, str]:
    """For each word, the English word with the largest Dice coefficient, in at least `MIN_COUNT` pairs.

    Dice's coefficient is 2 c(x, y) / (c(x) + c(y)) over pairs (Dice 1945; for lexicons from bitext, Smadja et
    al. 1996). Words are case folded; a word whose best coefficient is below `MIN_DICE` has no entry.

    >>> pairs = Bitext("fi", ("a dog", "the dog", "a cat"), ("koira", "koira", "kissa"))
    >>> dict(estimate_lexicon(pairs))
    {'koira': 'dog'}
    """
    from scipy.sparse import csr_array

    sides = []
    for texts in (bitext.translations, bitext.english):
        rows = [{case_folded(text[a:b]) for a, b in words(text)} for text in islice(texts, MAX_PAIRS)]
        counts = Counter(word for row in rows for word in row)
        vocabulary = sorted(word for word, count in counts.items() if count >= MIN_COUNT)
        numbers = {word: number for number, word in enumerate(vocabulary)}
        occurrences = [sorted(numbers[word] for word in row if word in numbers) for row in rows]
        columns = np.fromiter((number for row in occurrences for number in row), np.int64)
        bounds = np.concatenate([[0], np.cumsum([len(row) for row in occurrences], dtype=np.int64)])
        matrix = csr_array((np.ones(len(columns), np.int32), columns, bounds), (len(rows), len(vocabulary)))
        sides.append((vocabulary, matrix))
    (source, source_counts), (english, english_counts) = sides
    if not source or not english:
        return {}
    together = (source_counts.T @ english_counts).tocoo()
    totals = source_counts.sum(0)[together.row] + english_counts.sum(0)[together.col]
    dice = 2 * together.data / totals
    kept = (together.data >= MIN_COUNT) & (dice >= MIN_DICE)
    lexicon: dict[str, str] = {}
    order = np.lexsort((together.col, -dice, together.row))  # ties go to the first in the alphabet
    for entry in order[kept[order]].tolist():
        lexicon.setdefault(source[together.row[entry]], english[together.col[entry]])
    return lexicon


def read_lexicon(path: Path, fold: Callable[[str], str] = case_folded) -> Mapping[str, str]:
    """Read lines of a word, a tab or a blank, and its English; the first of several translations counts.

    Args:
        fold: normalises the words of the lexicon in the same way as the words to look up.

    Raises:
        UserError: the file cannot be read, or a line does not have two words.
    """
    check_file(KEY, path, "name one for each language")
    lexicon: dict[str, str] = {}
    for number, line in read_lines(path):
        word, _, english = line.partition("\t") if "\t" in line else line.partition(" ")
        if not word.strip() or not english.strip():
            raise UserError(
                f"{path}:{number}: not a word and its English, separated by a tab; correct the line"
            )
        lexicon.setdefault(fold(word.strip()), english.split("\t")[0].strip())
    return lexicon


def lexicon_fingerprint(files: str, languages: Iterable[str]) -> str:
    """A hash of the contents of the lexicons.

    Raises:
        UserError: a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for language in sorted(languages):
        path = Path(files.format(language=language))
        try:
            digest.update(file_digest(path))
        except OSError as error:
            raise UserError(f"{KEY}: {path}: {error.strerror}; name a file for each language") from error
    return digest.hexdigest()


def _bitext(corpus: CollectionSource, language: str) -> Bitext:
    reason = "the data has none"
    if isinstance(corpus, Corpus):
        try:
            return corpus.bitext(language)
        except UserError as error:
            reason = str(error)
    raise UserError(
        f"evaluation.perturbations: code_switching needs bitext of {language}: {reason}; or give {KEY}"
    )
