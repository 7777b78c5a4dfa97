"""Code-switched training data: sentences in which some words are replaced by their translations.

The student then reads a mixture of both languages instead of the translation, while the teacher still reads
English. With `side: english`, words of the English sentence are replaced by their translations, which needs
only a dictionary, as in CoSDA-ML (Qin et al. 2020, arXiv 2006.06402) and, for retrieval, Litschko et al. 2023
(arXiv 2305.05295). With `side: translation`, words of the translation are replaced by English ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, overload

from optical_sweeps.checks import Count, Fraction, check_file
from optical_sweeps.corpora.bitext import Bitext
from optical_sweeps.corpora.path_patterns import check_pattern
from optical_sweeps.corpora.perturbations.lexicon import lexicon_fingerprint, read_lexicon
from optical_sweeps.corpora.words import folded, lowered, set_apart, word_spans
from optical_sweeps.seeds import derive_seed
from optical_sweeps.settings import key_of, settings

Lexicon = Mapping[str, Mapping[str, float]]
"""Word -> its translations, each with its probability."""


@settings("training.code_switching")
class CodeSwitching:
    """Which words of the student's side are replaced.

    Args:
        share: share of the words in the lexicon that are replaced.
        side: english or translation: the sentence whose words are replaced by those of the other language.
        lexicon: files of a word and its English on each line, with `{language}` in their name; None estimates a
            translation table from the bitext by the teacher's transport plans.
        alignment: settings of that estimate (`retrieval.word_alignment.AlignmentSettings`).
        cumulative: cumulative probability of the translations that can replace a word, as in `retrieval.psq`;
            one of them is drawn by its probability.
        size: largest number of those translations.
    """

    share: Fraction = 0.5
    side: Literal["english", "translation"] = "english"
    lexicon: str | None = None
    alignment: object = None
    cumulative: Fraction = 0.8
    size: Count | None = 5

    def __post_init__(self) -> None:
        if self.lexicon is not None:
            check_pattern(key_of("lexicon"), self.lexicon, {"language"}, needs={"language"})

    def fingerprint(self, languages: Sequence[str]) -> str | None:
        """A hash of the contents of the lexicon's files; None if there are none.

        Raises:
            UserError: a file cannot be read.
        """
        if self.lexicon is None:
            return None
        for language in languages:
            self._path(language)
        return lexicon_fingerprint(self.lexicon, languages)

    def check(self, languages: Sequence[str]) -> None:
        """Refuse a lexicon that is missing or invalid.

        Raises:
            UserError: as in `read`.
        """
        for language in languages if self.lexicon is not None else ():
            self.read(language)

    def read(self, language: str) -> Lexicon:
        """The lexicon in its file, in the direction in which words are replaced.

        Raises:
            UserError: there is no such file, or a line is invalid.
        """
        # words are looked up by their folded form, but written into texts as they are
        into_english = read_lexicon(self._path(language), folded if self.side == "translation" else lowered)
        if self.side == "translation":
            return {word: {english: 1.0} for word, english in into_english.items()}
        words_of: dict[str, list[str]] = {}
        for word, english in into_english.items():
            words_of.setdefault(folded(english), []).append(word)
        return {english: dict.fromkeys(words, 1 / len(words)) for english, words in words_of.items()}

    def _path(self, language: str) -> Path:
        assert self.lexicon is not None
        path = Path(self.lexicon.format(language=language))
        check_file("training.code_switching.lexicon", path, "name one for each language")
        return path

    def switched(self, bitext: Bitext, lexicon: Lexicon, seed: int) -> Bitext:
        """The bitext with code-switched sentences instead of its translations.

        The random draws of a pair depend only on the seed, the language and the pair's number. A larger share
        replaces what a smaller one replaces, and more.
        """
        sentences = bitext.english if self.side == "english" else bitext.translations
        base = derive_seed(f"code switching {bitext.language}", seed)
        choices = {word: (tuple(others), tuple(others.values())) for word, others in lexicon.items() if others}
        return Bitext(bitext.language, bitext.english, _SwitchedSentences(sentences, choices, self.share, base))


@dataclass(frozen=True, eq=False)
class _SwitchedSentences(Sequence[str]):
    """Sentences that are switched when they are read, since a run reads only those that it draws."""

    sentences: Sequence[str]
    choices: Mapping[str, tuple[tuple[str, ...], tuple[float, ...]]]
    share: float
    seed: int

    def __len__(self) -> int:
        return len(self.sentences)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        return _switched_sentence(self.sentences[places], self.choices, self.share, Random(self.seed ^ places))


def _switched_sentence(
    sentence: str,
    choices: Mapping[str, tuple[tuple[str, ...], tuple[float, ...]]],
    share: float,
    random: Random,
) -> str:
    parts, copied, last_end = [], 0, 0
    for word, start, end in word_spans(sentence):
        if word not in choices or start < last_end:  # of overlapping pairs of characters, take the first
            continue
        last_end = end
        threshold = random.random()
        (other,) = random.choices(*choices[word])
        if threshold < share and folded(other) != word:  # a name that is the same in both keeps its capitals
            parts += [sentence[copied:start], set_apart(other, sentence, start, end)]
            copied = end
    return "".join([*parts, sentence[copied:]])
