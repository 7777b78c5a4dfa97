"""Searching and evaluating again with the encoders of a finished run or of a checkpoint."""

from collections.abc import Mapping, Sequence

from optical_sweeps.console import echo, progress
from optical_sweeps.corpora.collections import Split
from optical_sweeps.corpora.ids import check_ids
from optical_sweeps.corpora.languages import meant_language
from optical_sweeps.corpora.perturbations.lexicon import check_perturbations
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import check_cache_folder
from optical_sweeps.retrieval.search_settings import PrunedSearch, RerankSearch
from optical_sweeps.runs.distillation.query_encoders import Encoders
from optical_sweeps.runs.distillation.search_and_evaluate import EvaluationResult, measure_collections
from optical_sweeps.runs.spec.first_stage_files import check_first_stage

Groups = Mapping[str, Sequence[str]]
"""Languages by group; `all` has every language."""


def evaluate_again(
    encoders: Encoders, split: Split, languages: Sequence[str] | None, *, writes: bool
) -> list[EvaluationResult]:
    """Evaluate the queries of a split, and their perturbed versions.

    Args:
        languages: of the queries; None evaluates all.
        writes: check beforehand that the rankings can be written as TREC run files.

    Raises:
        UserError: an unknown language, ids that cannot be written, or no cache folder for numba.
    """
    check_cache_folder()
    corpus, spec, evaluation = encoders.corpus, encoders.spec, encoders.evaluation
    groups: Groups = {"all": corpus.languages} if spec is None else spec.languages.groups
    if languages:
        groups = _restricted(groups, languages)
    check_perturbations(evaluation.perturbations, corpus, groups["all"], evaluation.lexicon)
    if writes:
        check_ids(corpus.collection(language, split) for language in groups["all"])
    arguments = (corpus, groups, encoders.queries, encoders.search, split, evaluation)
    how = evaluation.search_of(split)
    if isinstance(how, RerankSearch):
        check_first_stage(how, "search", corpus, groups["all"], split)
    with progress(encoders.name) as advance:
        if isinstance(how, PrunedSearch):
            price = encoders.search.price(how, corpus, groups["all"], encoders.queries, advance)
            price.refuse_above(how.max_loss, "search")
            echo(f"{how.label}: {price}")
        return [
            measure_collections(*arguments, advance, perturbation)
            for perturbation in (None, *evaluation.perturbations)
        ]


def _restricted(groups: Groups, languages: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The groups restricted to some languages, without groups that become empty."""
    if unknown := [language for language in languages if language not in groups["all"]]:
        known = groups["all"]
        raise UserError(
            f"query_languages: {', '.join(unknown)} not among the run's, {', '.join(known)}"
            f"{meant_language(unknown[0], known)}"
        )
    restricted = {
        name: tuple(language for language in members if language in languages)
        for name, members in groups.items()
    }
    return {name: members for name, members in restricted.items() if members}
