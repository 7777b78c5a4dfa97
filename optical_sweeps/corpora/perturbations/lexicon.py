"""A lexicon into English: read from files, or estimated from bitext."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.collections import CollectionSource, Corpus
from optical_sweeps.corpora.perturbations.interface import Perturbation
from optical_sweeps.corpora.perturbations.units import case_folded, words
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError

KEY = "evaluation.lexicon"
MOST_PAIRS = 50_000
"""Pairs of a bitext that are counted."""
LEAST_COUNT = 2
"""Pairs in which two words have to stand together."""
LEAST_DICE = 0.3


def lexicon_for(corpus: CollectionSource, language: str, files: str | None) -> Mapping[str, str]:
    """The lexicon of one language: from its file, or without files from the corpus's bitext.

    Raises:
        UserError: a bad file; no files, and no bitext either.
    """
    if files is not None:
        return read_lexicon(Path(files.format(language=language)))
    return estimate_lexicon(_bitext(corpus, language))


def check_perturbations(
    perturbations: Sequence[Perturbation], corpus: CollectionSource, languages: Sequence[str], files: str | None
) -> None:
    """Refuse, before any work, a perturbation that lacks what it needs.

    Raises:
        UserError: a package is missing, or bitext and lexicon both are.
    """
    for perturbation in perturbations:
        perturbation.check()
        for language in languages if perturbation.needs_lexicon else ():
            if files is None:
                _bitext(corpus, language)
            else:
                read_lexicon(Path(files.format(language=language)))


@lru_cache(maxsize=32)
def estimate_lexicon(
    bitext: Bitext, least_count: int = LEAST_COUNT, least_dice: float = LEAST_DICE
) -> Mapping[str, str]:
    """For each word the English word that stands beside it most exclusively, in at least `least_count` pairs.

    By Dice's coefficient 2 c(x, y) / (c(x) + c(y)) over pairs (Dice 1945; for lexicons from bitext, Smadja et
    al. 1996). Words are case folded; a word with no partner of at least `least_dice` has no entry.

    >>> pairs = Bitext("fi", ("a dog", "the dog", "a cat"), ("koira", "koira", "kissa"))
    >>> dict(estimate_lexicon(pairs))
    {'koira': 'dog'}
    """
    from scipy.sparse import csr_array

    sides = []
    for texts in (bitext.translations, bitext.english):
        rows = [set(_folded(text)) for text in islice(texts, MOST_PAIRS)]
        vocabulary = sorted(_frequent(rows, least_count))
        places = {word: place for place, word in enumerate(vocabulary)}
        found = [sorted(places[word] for word in row if word in places) for row in rows]
        columns = np.fromiter((place for row in found for place in row), np.int64)
        bounds = np.concatenate([[0], np.cumsum([len(row) for row in found], dtype=np.int64)])
        counts = csr_array((np.ones(len(columns), np.int32), columns, bounds), (len(rows), len(vocabulary)))
        sides.append((vocabulary, counts))
    (own, here), (english, there) = sides
    if not own or not english:
        return {}
    together = (here.T @ there).tocoo()
    dice = 2 * together.data / (here.sum(0)[together.row] + there.sum(0)[together.col])
    kept = (together.data >= least_count) & (dice >= least_dice)
    lexicon: dict[str, str] = {}
    order = np.lexsort((together.col, -dice, together.row))  # of equal ones the first of the alphabet
    for place in order[kept[order]].tolist():
        lexicon.setdefault(own[together.row[place]], english[together.col[place]])
    return lexicon


def read_lexicon(path: Path, fold: Callable[[str], str] = case_folded) -> Mapping[str, str]:
    """Lines of a word, a tab or a blank, and its English; of several the first counts.

    Args:
        fold: how words are written that are looked up.

    Raises:
        UserError: the file cannot be read, or a line holds no two words.
    """
    if not path.is_file():
        raise UserError(f"{KEY}: there is no file {path}; name one for each language")
    lexicon: dict[str, str] = {}
    for number, line in read_lines(path):
        word, _, english = line.partition("\t") if "\t" in line else line.partition(" ")
        if not word.strip() or not english.strip():
            raise UserError(
                f"{path}:{number}: not a word and its English, with a tab between; correct the line"
            )
        lexicon.setdefault(fold(word.strip()), english.split("\t")[0].strip())
    return lexicon


def lexicon_fingerprint(files: str, languages: Sequence[str]) -> str:
    """A hash of the lexicons' contents.

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
    why = "the data has none"
    if isinstance(corpus, Corpus):
        try:
            return corpus.bitext(language)
        except UserError as error:
            why = str(error)
    raise UserError(
        f"evaluation.perturbations: code_switching needs bitext of {language}: {why}; or give {KEY}"
    )


def _folded(text: str) -> Iterable[str]:
    return (case_folded(text[start:stop]) for start, stop in words(text))


def _frequent(rows: Iterable[set[str]], least: int) -> set[str]:
    counts: dict[str, int] = {}
    for row in rows:
        for word in row:
            counts[word] = counts.get(word, 0) + 1
    return {word for word, count in counts.items() if count >= least}
