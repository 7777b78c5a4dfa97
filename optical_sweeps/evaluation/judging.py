"""Evaluate a ranking by the collection's relevance judgements or by its answers."""

from collections.abc import Sequence

from optical_sweeps.corpora.collections import Collection
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.answer_recall import answer_recall, answer_spans
from optical_sweeps.evaluation.measures import Measure, QueryScores, evaluate
from optical_sweeps.retrieval.trec_runs import RetrievalRun


def judge(run: RetrievalRun, collection: Collection, measures: Sequence[Measure]) -> QueryScores:
    """Every measure for every judged query; all measures use judgements, or all use answers.

    Raises:
        UserError: see `check_judgements`.
    """
    check_judgements(collection, measures)
    if not measures[0].by_answers:
        return evaluate(run, collection.qrels, measures)
    budgets = [measure.cutoff for measure in measures]
    query_ids, values = answer_recall(run, collection.documents, collection.answers, budgets)
    return QueryScores(query_ids, {measure: values[measure.cutoff] for measure in measures})


def check_judgements(collection: Collection, measures: Sequence[Measure]) -> None:
    """Refuse a collection without the judgements or answers that the measures need.

    Raises:
        UserError: the collection has no relevance judgements, or no usable answers.
    """
    where = f"{collection.name}, {collection.query_language}"
    if measures[0].by_answers and not any(answer_spans(collection.answers).values()):
        if any(collection.answers.values()):
            raise UserError(
                f"{where}: every answer of {collection.split} is yes, no or blank, which {measures[0]} cannot "
                "search for; add questions, or split them differently (dev_fraction)"
            )
        raise UserError(f"{where}: no answers for {measures[0]}; choose evaluation=default")
    if not measures[0].by_answers and not collection.qrels:
        advice = "; it is judged by answers: choose evaluation=answers" if collection.answers else ""
        raise UserError(f"{where}: no relevance judgements for {measures[0]}{advice}")
