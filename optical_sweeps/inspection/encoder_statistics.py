"""Norms, anisotropy and spectrum of the token vectors of a run's student and teacher."""

from collections.abc import Sequence

import numpy as np

from optical_sweeps.console import progress
from optical_sweeps.curves.tables.encoder_report import EncoderReport, encoder_report
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.encoders.token_encoder import TokenEncoder
from optical_sweeps.inspection.run_aligner import student_sides
from optical_sweeps.runs.distillation.query_encoders import Encoders


def encoder_statistics(encoders: Encoders, languages: Sequence[str], limit: int) -> dict[str, EncoderReport]:
    """Statistics of the vectors of each language's test queries and of documents, by encoder and texts.

    Args:
        limit: at most this many texts of each kind.
    """
    reports, sides = {}, student_sides(encoders)
    reader = "student" if "query" in sides else "teacher"
    with progress("report") as advance:
        for number, language in enumerate(languages):
            advance(number, len(languages) + 1)
            queries = encoders.corpus.collection(language, "test").queries
            reports[f"{reader}, {language} queries"] = _report(encoders.queries, queries.texts[:limit], "query")
        documents = encoders.corpus.collection(languages[0], "test").documents
        texts, name = list(documents.texts[:limit]), f"{documents.language} documents"
        if encoders.teacher is not None and "document" in sides:
            reports[f"student, {name}"] = _report(encoders.documents, texts, "document")
        reports[f"teacher, {name}"] = _report(encoders.teacher or encoders.documents, texts, "document")
    return reports


def _report(encoder: TokenEncoder, texts: Sequence[str], side: Side) -> EncoderReport:
    """Statistics of the vectors, and of their lengths before normalisation."""
    norms: list[np.ndarray] = []
    hook = encoder.projection.register_forward_hook(
        lambda module, inputs, output: norms.append(output.detach().float().norm(dim=-1).cpu().numpy())
    )
    try:
        vectors = np.asarray(encoder.encode(texts, side).vectors)
    finally:
        hook.remove()
    return encoder_report(vectors, np.concatenate(norms))
