"""A ranking measured by what its collection judges by: relevance judgements, or answers."""

from collections.abc import Sequence

from optical_sweeps.corpora.collections import Collection
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.answer_recall import answer_recall, answer_spans
from optical_sweeps.evaluation.measures import Measure, QueryScores, evaluate
from optical_sweeps.retrieval.runs import RetrievalRun


def judge(run: RetrievalRun, collection: Collection, measures: Sequence[Measure]) -> QueryScores:
    """Every measure for every judged query; measures are all by judgements, or all by answers.

    Raises:
        UserError: as `check_judgements`.
    """
    check_judgements(collection, measures)
    if not measures[0].by_answers:
        return evaluate(run, collection.qrels, measures)
    budgets = [measure.cutoff for measure in measures]
    query_ids, values = answer_recall(run, collection.documents, collection.answers, budgets)
    return QueryScores(query_ids, {measure: values[measure.cutoff] for measure in measures})


def check_judgements(collection: Collection, measures: Sequence[Measure]) -> None:
    """Refuse a collection that holds nothing to measure by.

    Raises:
        UserError: no relevance judgements, or no answers, as the measures need them.
    """
    where = f"{collection.name}, {collection.query_language}"
    if measures[0].by_answers and not any(answer_spans(collection.answers).values()):
        if any(collection.answers.values()):
            raise UserError(
                f"{where}: {collection.split} has no answer but yes, no or blanks, which {measures[0]} "
                "cannot look for; add questions, or divide them otherwise (dev_fraction)"
            )
        raise UserError(f"{where}: no answers for {measures[0]}; choose evaluation=default")
    if not measures[0].by_answers and not collection.qrels:
        advice = "; it is judged by answers: evaluation=answers" if collection.answers else ""
        raise UserError(f"{where}: no relevance judgements to measure {measures[0]} by{advice}")
