"""Recall by answer string: do the first k tokens of the ranked passages contain an answer?

R@2kt and R@5kt of XOR-Retrieve (Asai et al., NAACL 2021, arXiv 2010.11856): the passages are tokenised and
joined in ranked order, cut after 2,000 or 5,000 tokens, and searched for any of the answers, case-sensitively.
Questions whose only answers are yes or no are excluded. The published script uses NLTK's `word_tokenize`, which
differs from ours in contractions, quotes and rare abbreviations.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from optical_sweeps.corpora.collections import Documents
from optical_sweeps.retrieval.trec_runs import RetrievalRun

NOT_SPANS = ("yes", "no")
_ABBREVIATION = r"(?:[A-Za-z]\.){2,}|\b(?:Co|Dr|Inc|Jr|Ltd|Mr|Mrs|Ms|Mt|No|Sr|St|vs)\."
_TOKEN = re.compile(rf"{_ABBREVIATION}|\d+(?:[.,:]\d+)*|\w+(?:[-'’.]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Words, abbreviations, numbers with their separators, and single punctuation marks.

    >>> words("5,000 years ago, in St. Louis.")
    ['5,000', 'years', 'ago', ',', 'in', 'St.', 'Louis', '.']
    """
    return _TOKEN.findall(text)


def answer_spans(answers: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Query id -> answers to search for, without yes, no and blank strings (which every text contains).

    >>> answer_spans({"q1": ["yes", "Tokyo"], "q2": ["no", ""]})
    {'q1': ['Tokyo'], 'q2': []}
    """
    return {
        query: [answer for answer in strings if answer.strip() and answer not in NOT_SPANS]
        for query, strings in answers.items()
    }


def answer_recall(
    run: RetrievalRun, documents: Documents, answers: Mapping[str, Sequence[str]], budgets: Sequence[int]
) -> tuple[tuple[str, ...], dict[int, Float64[np.ndarray, " Q"]]]:
    """Query ids, and for each budget 1 where the tokens contain an answer and 0 where they do not.

    A query that the run lacks counts 0. A query without answer spans is excluded.

    Args:
        run: passages by query, best first; deep enough to fill the largest budget.
        documents: the texts of the passages.
        answers: query id -> strings, any of which is correct.
        budgets: numbers of tokens.

    Raises:
        ValueError: a ranked passage is not among the documents, a budget is below 1, or no query is left.
    """
    if not budgets or min(budgets) < 1:
        raise ValueError(f"budgets of tokens must be 1 or more, not {list(budgets)}")
    spans = answer_spans(answers)
    queries = tuple(sorted(query for query, strings in spans.items() if strings))
    if not queries:
        raise ValueError("no query has an answer other than yes or no")
    rankings = dict(zip(run.query_ids, run.documents, strict=True))
    values = {budget: np.zeros(len(queries)) for budget in budgets}
    for row, query in enumerate(queries):
        tokens = _first_tokens(rankings.get(query, ()), documents, max(budgets))
        for budget in budgets:
            text = " ".join(tokens[:budget])
            values[budget][row] = any(answer in text for answer in spans[query])
    return queries, values


def _first_tokens(ranking: Sequence[str], documents: Documents, budget: int) -> list[str]:
    places = documents.positions(ranking)
    tokens: list[str] = []
    for document in ranking:
        if document not in places:
            raise ValueError(f"passage {document!r} is ranked but not among the documents")
        tokens += words(documents.texts[places[document]])
        if len(tokens) >= budget:
            break
    return tokens[:budget]
