"""The texts of a study that a vocabulary is fitted to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from optical_sweeps.corpora.bitext import fingerprint_of_texts
from optical_sweeps.corpora.collections import Documents
from optical_sweeps.runs.spec.run_spec import RunSpec

VOCABULARY_PAIRS = 100_000
"""Most pairs of a language that a vocabulary is fitted to, unless the backbone says otherwise."""


@dataclass(frozen=True)
class VocabularyTexts:
    """Every text of a study, for a vocabulary that covers it; of a larger bitext, a part of its pairs.

    Dev and test queries are included: a pruned vocabulary keeps the pieces they need, and the tokenizer of
    the `tiny` backbone, which is trained on them too, sees their words (not their relevance).
    """

    spec: RunSpec

    @cached_property
    def texts(self) -> list[str]:
        """The texts; of a bitext with more pairs than `most_pairs`, so many at equal distances."""
        return [*self._of_collections(), *self._of_bitext(self.spec.languages.all)]

    def fingerprint(self) -> str:
        """A hash of the texts that does not read large bitext, whose own fingerprint counts instead."""
        bitexts = {language: self.spec.corpus.bitext(language) for language in self.spec.languages.all}
        large = [language for language, bitext in bitexts.items() if len(bitext) > self.most_pairs]
        if not large:
            return fingerprint_of_texts(sorted(set(self.texts)))
        small = [language for language in bitexts if language not in large]
        texts = sorted({*self._of_collections(), *self._of_bitext(small)})
        parts = [
            f"{language} {self.most_pairs} {bitexts[language].fingerprint()}" for language in sorted(large)
        ]
        return fingerprint_of_texts([*parts, *texts])

    @property
    def most_pairs(self) -> int:
        """Most pairs of a language whose texts are read."""
        return self.spec.backbone.vocabulary_pairs or VOCABULARY_PAIRS

    def _of_collections(self) -> Iterator[str]:
        for documents in document_sets(self.spec).values():
            yield from documents.texts
        for pair in self.spec.corpus.relevant_pairs() if self.spec.teacher.reads_pairs else ():
            yield from (pair.query, pair.document)
        for language in self.spec.languages.all:
            for split in ("dev", "test"):
                yield from self.spec.corpus.collection(language, split).queries.texts

    def _of_bitext(self, languages: Sequence[str]) -> Iterator[str]:
        for language in languages:
            bitext = self.spec.corpus.bitext(language)
            count = min(len(bitext), self.most_pairs)
            rows = [place * len(bitext) // count for place in range(count)]
            for side in (bitext.english, bitext.translations):
                yield from (side[row] for row in rows)


def document_sets(spec: RunSpec) -> dict[str, Documents]:
    """The distinct document sets that the study's languages search, by fingerprint."""
    sets = (spec.corpus.collection(language, "test").documents for language in spec.languages.all)
    return {documents.fingerprint(): documents for documents in sets}
