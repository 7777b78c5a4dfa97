"""What is measured, and how deep."""

from collections.abc import Sequence

from optical_sweeps.checks import strings, whole_number
from optical_sweeps.corpora.perturbations import Perturbation, parse
from optical_sweeps.corpora.perturbations.lexicon import lexicon_fingerprint
from optical_sweeps.corpora.settings import check_pattern
from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import Measure


class EvaluationSettings:
    """Settings of search and measures.

    Args:
        measures: such as `nDCG@10`; the first is the one that validation and curves go by.
        depth: documents kept for each query.
        encode_batch_size: queries encoded at a time.
        memory_budget_mb: MiB for a search, beyond index and result.
        perturbations: such as `typing@0.1`: test queries are searched so changed, too.
        perturbation_seed: another seed, other changes.
        lexicon: files of a word and its English, with `{language}` in their name, for `code_switching`; null:
            estimated from the bitext.

    Raises:
        UserError: no measure, an unknown one, one twice, one deeper than `depth`, or a number below 1; an
            unknown perturbation, or one twice.
    """

    __no_type_check__ = True  # values come from YAML: the constructor checks them and names the key

    def __init__(
        self,
        measures: Sequence[str] = ("nDCG@10", "MAP@100", "MRR@10", "Recall@100"),
        depth: int = 100,
        encode_batch_size: int = 64,
        memory_budget_mb: int = 512,
        perturbations: Sequence[str] = (),
        perturbation_seed: int = 0,
        lexicon: str | None = None,
    ) -> None:
        self.measures = tuple(Measure.parse(text) for text in measures)
        self.depth = depth
        self.encode_batch_size = encode_batch_size
        self.memory_budget_mb = memory_budget_mb
        self.perturbations = _perturbations(perturbations)
        self.perturbation_seed = whole_number("evaluation.perturbation_seed", perturbation_seed, least=0)
        self.lexicon = lexicon
        if lexicon is not None:
            check_pattern("evaluation.lexicon", lexicon, {"language"}, needs={"language"})
        self._check()

    @property
    def main_measure(self) -> Measure:
        return self.measures[0]

    @property
    def memory_budget_bytes(self) -> int:
        return self.memory_budget_mb * 2**20

    def fingerprint(self, languages: Sequence[str]) -> str | None:
        """A hash of the contents of the lexicons that perturbations read; None where they read none."""
        if self.lexicon is None or not any(one.needs_lexicon for one in self.perturbations):
            return None
        return lexicon_fingerprint(self.lexicon, languages)

    def _check(self) -> None:
        if not self.measures:
            raise UserError("evaluation.measures: empty; name at least one, such as nDCG@10")
        if len(set(self.measures)) != len(self.measures):
            raise UserError("evaluation.measures: a measure occurs twice")
        for key in ("depth", "encode_batch_size", "memory_budget_mb"):
            value = getattr(self, key)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"evaluation.{key}: {value!r} is not a whole number of 1 or more")
        by_answers = [measure.by_answers for measure in self.measures]
        if any(by_answers) and not all(by_answers):
            raise UserError("evaluation.measures: by answers or by judgements, not both: evaluation=answers")
        deepest = max(self.measures, key=lambda measure: measure.cutoff)
        if deepest.cutoff > self.depth and not deepest.by_answers:
            raise UserError(
                f"evaluation.depth: {self.depth} documents a query do not suffice for {deepest}; "
                f"raise it to {deepest.cutoff}"
            )


def _perturbations(value: object) -> tuple[Perturbation, ...]:
    found = tuple(parse(text) for text in strings("evaluation.perturbations", value))
    labels = [str(one) for one in found]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"evaluation.perturbations: {label} stands twice; remove one")
    return found
