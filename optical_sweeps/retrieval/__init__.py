"""Search with token vectors and with words: index, exact MaxSim, BM25, and TREC run files.

A `RetrievalRun` holds a ranking per query. A name's module is imported when the name is used, so that reading
run files loads no torch.

>>> import numpy as np
>>> from optical_sweeps.retrieval import RetrievalRun
>>> run = RetrievalRun(("q1",), (("d2", "d1"),), (np.array([0.9, 0.4], dtype=np.float32),))
>>> run.documents[0]
('d2', 'd1')
"""

from typing import TYPE_CHECKING

from optical_sweeps.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from optical_sweeps.encoders.token_embeddings import RaggedEmbeddings
    from optical_sweeps.retrieval.build_index import build_index
    from optical_sweeps.retrieval.index_settings import IndexSettings
    from optical_sweeps.retrieval.lexical import LexicalIndex
    from optical_sweeps.retrieval.maxsim import search
    from optical_sweeps.retrieval.rerank import rerank
    from optical_sweeps.retrieval.token_index import TokenIndex
    from optical_sweeps.retrieval.trec_runs import RetrievalRun, read_run, write_run
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "RaggedEmbeddings": "optical_sweeps.encoders.token_embeddings",
            "build_index": "optical_sweeps.retrieval.build_index",
            "IndexSettings": "optical_sweeps.retrieval.index_settings",
            "LexicalIndex": "optical_sweeps.retrieval.lexical",
            "search": "optical_sweeps.retrieval.maxsim",
            "rerank": "optical_sweeps.retrieval.rerank",
            "TokenIndex": "optical_sweeps.retrieval.token_index",
            "RetrievalRun": "optical_sweeps.retrieval.trec_runs",
            "read_run": "optical_sweeps.retrieval.trec_runs",
            "write_run": "optical_sweeps.retrieval.trec_runs",
        },
    )

__all__ = [
    "IndexSettings",
    "LexicalIndex",
    "RaggedEmbeddings",
    "RetrievalRun",
    "TokenIndex",
    "build_index",
    "read_run",
    "rerank",
    "search",
    "write_run",
]
