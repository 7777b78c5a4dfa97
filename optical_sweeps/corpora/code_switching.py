"""Code-switched training data: sentences some of whose words stand in the other language.

The student of a pair then reads a mixture of both languages in place of the translation, while the teacher
reads English as ever. With `side: english` words of the English sentence are replaced by their translations,
which needs a dictionary alone, as in CoSDA-ML (Qin et al. 2020, arXiv 2006.06402) and, for retrieval, Litschko
et al. 2023 (arXiv 2305.05295); with `side: translation` words of the translation are replaced by English ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from optical_sweeps.checks import number_between, one_of, whole_number
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.perturbations.lexicon import lexicon_fingerprint, read_lexicon
from optical_sweeps.corpora.settings import check_pattern
from optical_sweeps.corpora.words import folded, set_apart, word_spans
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

Lexicon = Mapping[str, Mapping[str, float]]
"""Word -> its translations, each with its probability."""


@dataclass(frozen=True)
class CodeSwitching:
    """Which words of the student's side are replaced.

    Args:
        share: of the words that the lexicon has.
        side: english | translation: whose words are replaced by those of the other.
        lexicon: files of a word and its English a line, with `{language}` in their name; None estimates a
            translation table from the bitext by the teacher's transport plans.
        alignment: how that is estimated (`retrieval.word_alignment.AlignmentSettings`).
        cumulative, size: which translations of a word may take its place, as in `retrieval.psq`; one is drawn
            by its probability.

    Raises:
        UserError: a setting is out of range.
    """

    share: float = 0.5
    side: str = "english"
    lexicon: str | None = None
    alignment: Any = None
    cumulative: float = 0.8
    size: int | None = 5
    __no_type_check__ = True

    def __post_init__(self) -> None:
        key = "training.code_switching"
        number_between(f"{key}.share", self.share, 0.0, 1.0)
        one_of(f"{key}.side", self.side, ("english", "translation"))
        if self.lexicon is not None:
            check_pattern(f"{key}.lexicon", self.lexicon, {"language"}, needs={"language"})
        number_between(f"{key}.cumulative", self.cumulative, 0.0, 1.0)
        if self.size is not None:
            whole_number(f"{key}.size", self.size, least=1)

    def fingerprint(self, languages: Sequence[str]) -> str | None:
        """A hash of the contents of the lexicon's files; None where there are none.

        Raises:
            UserError: a file cannot be read.
        """
        if self.lexicon is None:
            return None
        for language in languages:
            self._path(language)
        return lexicon_fingerprint(self.lexicon, languages)

    def check(self, languages: Sequence[str]) -> None:
        """Refuse a lexicon that is missing or broken.

        Raises:
            UserError: as `read`.
        """
        for language in languages if self.lexicon is not None else ():
            self.read(language)

    def read(self, language: str) -> Lexicon:
        """The lexicon in its file, in the direction in which words are replaced.

        Raises:
            UserError: no such file, or a bad line.
        """
        into_english = read_lexicon(self._path(language), folded)
        if self.side == "translation":
            return {word: {english: 1.0} for word, english in into_english.items()}
        found: dict[str, dict[str, float]] = {}
        for word, english in into_english.items():
            found.setdefault(folded(english), {})[word] = 1.0
        return {word: dict.fromkeys(own, 1 / len(own)) for word, own in found.items()}

    def _path(self, language: str) -> Path:
        assert self.lexicon is not None
        path = Path(self.lexicon.format(language=language))
        if not path.is_file():
            raise UserError(
                f"training.code_switching.lexicon: there is no file {path}; name one for each language"
            )
        return path

    def switched(self, bitext: Bitext, lexicon: Lexicon, seed: int) -> Bitext:
        """The bitext with code-switched sentences in place of its translations.

        A pair's draws are its own: they depend on the seed, the language and the pair's number, and a larger
        share replaces what a smaller one does, and more.
        """
        sentences = bitext.english if self.side == "english" else bitext.translations
        base = derive_seed(f"code switching {bitext.language}", seed)
        choices = {word: (tuple(own), tuple(own.values())) for word, own in lexicon.items() if own}
        switched = tuple(
            _switch(sentence, choices, self.share, Random(base ^ pair))
            for pair, sentence in enumerate(sentences)
        )
        return Bitext(bitext.language, bitext.english, switched)


def _switch(
    sentence: str,
    choices: Mapping[str, tuple[tuple[str, ...], tuple[float, ...]]],
    share: float,
    random: Random,
) -> str:
    parts, done, free = [], 0, 0
    for word, start, end in word_spans(sentence):
        if word not in choices or start < free:  # of pairs of characters that overlap, the first
            continue
        free = end
        drawn = random.random()
        (other,) = random.choices(*choices[word])
        if drawn < share and other != word:  # a name that is the same in both keeps its capitals
            parts += [sentence[done:start], set_apart(other, sentence, start, end)]
            done = end
    return "".join([*parts, sentence[done:]])
