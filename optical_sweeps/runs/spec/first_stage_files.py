"""What a first stage reads beside the collection: checked before a run, and counted in its identity."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from optical_sweeps.checks import check_file
from optical_sweeps.corpora.collections import Corpus, Split
from optical_sweeps.corpora.languages import ENGLISH
from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.lexical import LexicalIndex
from optical_sweeps.retrieval.search_settings import RerankSearch
from optical_sweeps.retrieval.translator import Translator
from optical_sweeps.runs.spec.human_queries import TITLES, human_queries, human_queries_file


def run_file(settings: RerankSearch, language: str, split: Split) -> Path:
    """The TREC run file of a language and split."""
    assert settings.run_files is not None
    return Path(settings.run_files.format(language=language, split=split))


def translator_of(settings: RerankSearch, key: str) -> Translator:
    """The translator; raises UserError if it is something else."""
    if not isinstance(settings.translator, Translator):
        raise UserError(
            f"{key}.translator: {settings.translator!r} is not a Translator; choose marian, nllb or m2m100"
        )
    return settings.translator


def first_stage_contents(settings: RerankSearch, languages: Sequence[str], split: Split) -> Iterator[str]:
    """Digests of the files and models that a first stage reads.

    Raises:
        UserError: a file or model is missing.
    """
    for language in languages:
        if settings.first_stage == "run_files":
            yield _digest(run_file(settings, language, split))
        if settings.first_stage == "bm25_human" and settings.human_queries not in (None, TITLES):
            yield _digest(human_queries_file(str(settings.human_queries), language, split))
        if settings.first_stage == "bm25_machine":
            yield translator_of(settings, "search").fingerprint(language)


def _digest(path: Path) -> str:
    try:
        return file_digest(path).hex()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); a first stage needs it") from None


def check_first_stage(
    settings: RerankSearch, key: str, corpus: Corpus, languages: Sequence[str], split: Split
) -> None:
    """Refuse a first stage that cannot search a split of these languages.

    Args:
        key: where the config has the settings, for messages.

    Raises:
        UserError: documents in another language than English, or a missing file, model or package.
    """
    stage = settings.first_stage
    if stage in ("bm25_human", "bm25_machine", "psq"):
        for language in languages:
            documents = corpus.collection(language, split).documents
            if documents.language != ENGLISH:
                raise UserError(
                    f"{key}.first_stage: {stage} searches with English, but {language}'s documents are in "
                    f"{documents.language}; choose bm25_untranslated or teacher"
                )
    if stage == "bm25_human":
        for language in languages:
            human_queries(corpus, language, split, settings.human_queries)
    if stage == "bm25_machine":
        translator_of(settings, key).check(languages)
    if stage.startswith("bm25"):
        LexicalIndex(["a"], ["a"])
    if stage == "run_files":
        for language in languages:
            path = run_file(settings, language, split)
            check_file(f"{key}.run_files", path, "write it, or choose another first_stage")
