"""`search`: what a run's student or a checkpoint finds for a query, and which tokens matched."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from optical_sweeps.checks import one_of, true_or_false, whole_number
from optical_sweeps.console import echo
from optical_sweeps.corpora.readers.lines import read_lines
from optical_sweeps.errors import UserError, leave_on_user_error
from optical_sweeps.runs.spec.run_spec import resolved

_SHOWN = 300  # characters of a passage on a terminal


@leave_on_user_error
def run(config: DictConfig) -> None:
    """Hydra's task: encode the queries, search, and show passages with scores and matched tokens."""
    from optical_sweeps.runs.distillation.query_encoders import load_encoders

    settings = resolved(config)
    k = whole_number("k", settings["k"], least=1)
    one_of("query_encoder", settings["query_encoder"], ("student", "teacher"))
    as_json = true_or_false("json", settings["json"])
    queries = _queries(settings)
    encoders = load_encoders(settings)
    documents = _documents(encoders.corpus, settings["language"])
    encoder = encoders.queries
    if settings["query_encoder"] == "teacher" and encoders.teacher is not None:
        encoder = encoders.teacher
    index = encoders.index_of(documents)
    for result in _results(encoder, encoders.documents, index, documents, queries, k):
        if as_json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        else:
            _show(result)


def _queries(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(id, text) of the one query, or of the file's: `id <tab> text`, or a text a line."""
    if (settings["query"] is None) == (settings["queries"] is None):
        raise UserError("query, queries: give one of them: query='a text', or queries=FILE")
    if settings["query"] is not None:
        return [("query", str(settings["query"]))]
    path = Path(settings["queries"])
    try:
        lines = list(read_lines(path))
    except UserError as error:
        raise UserError(f"queries: {error}") from None
    found = []
    for number, line in lines:
        name, tab, text = line.partition("\t")
        if line.strip():
            found.append((name, text) if tab else (str(number), line))
    if not found:
        raise UserError(f"queries: {path}: no query in it; write one a line")
    return found


def _documents(corpus: Any, language: str | None) -> Any:
    """The documents of the study, or of one language's collection."""
    if language is None:
        return corpus.documents()
    one_of("language", language, corpus.languages)
    return corpus.collection(language, "dev").documents


def _results(
    encoder: Any, reader: Any, index: Any, documents: Any, queries: Sequence[tuple[str, str]], k: int
) -> Iterator[dict[str, Any]]:
    """For each query what was found, best first, and for each of its tokens the document token it met."""
    from optical_sweeps.retrieval.maxsim import search

    ids, texts = zip(*queries, strict=True)
    vectors = encoder.encode(texts, "query")
    found = search(index, [str(number) for number in range(len(ids))], vectors, k)
    places = documents.positions(name for names in found.documents for name in names)
    for number, (names, scores) in enumerate(zip(found.documents, found.scores, strict=True)):
        tokens = _tokens(encoder, texts[number], "query", len(vectors[number]))
        passages = []
        for rank, (name, score) in enumerate(zip(names, scores.tolist(), strict=True), start=1):
            text, own = documents.texts[places[name]], index.vectors_of(places[name])
            theirs = _tokens(reader, text, "document", len(own))
            passages.append(
                {
                    "rank": rank,
                    "id": name,
                    "score": score,
                    "text": text,
                    "matches": matches(tokens, vectors[number], theirs, own),
                }
            )
        yield {"id": ids[number], "query": texts[number], "passages": passages}


def matches(
    tokens: Sequence[str], vectors: np.ndarray, theirs: Sequence[str], own: np.ndarray
) -> list[dict[str, Any]]:
    """Each query token's best document token and their similarity: the terms of MaxSim.

    >>> matches(["a"], np.array([[1.0, 0.0]]), ["b", "c"], np.array([[0.0, 1.0], [0.5, 0.0]]))
    [{'query': 'a', 'document': 'c', 'similarity': 0.5}]
    """
    similarities = vectors @ own.T
    best = similarities.argmax(1)
    return [
        {"query": token, "document": theirs[place], "similarity": round(float(similarities[row, place]), 4)}
        for row, (token, place) in enumerate(zip(tokens, best.tolist(), strict=True))
    ]


def _tokens(encoder: Any, text: str, side: str, count: int) -> list[str]:
    """The tokens that take part, as a reader would write them; those that pad a query are [MASK]."""
    cut = encoder.tokenize_texts([text], side)
    names = [encoder.rust_tokenizer.id_to_token(int(token)) for token in cut.ids[cut.mask]]
    names = [str(name).replace("\u2581", "") or "\u2581" for name in names]
    return [*names, *["[MASK]"] * (count - len(names))]


def _show(result: Mapping[str, Any]) -> None:
    echo(f"{result['id']}: {result['query']}")
    if not result["passages"]:
        echo("  nothing found")
    for passage in result["passages"]:
        text = " ".join(passage["text"].split())
        echo(f"{passage['rank']:>4}. {passage['score']:.3f}  {passage['id']}")
        echo(f"      {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}")
        found = (f"{m['query']}~{m['document']} {m['similarity']:.2f}" for m in passage["matches"])
        echo(f"      {'  '.join(found)}")
    echo()
