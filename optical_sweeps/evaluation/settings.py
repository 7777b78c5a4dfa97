"""What is measured, and how deep."""

from collections.abc import Sequence

from optical_sweeps.errors import UserError
from optical_sweeps.evaluation.measures import Measure


class EvaluationSettings:
    """Settings of search and measures.

    Args:
        measures: such as `nDCG@10`; the first is the one that validation and curves go by.
        depth: documents kept for each query.
        encode_batch_size: queries encoded at a time.
        memory_budget_mb: MiB for a search, beyond index and result.

    Raises:
        UserError: no measure, an unknown one, one twice, one deeper than `depth`, or a number below 1.
    """

    def __init__(
        self,
        measures: Sequence[str] = ("nDCG@10", "MAP@100", "MRR@10", "Recall@100"),
        depth: int = 100,
        encode_batch_size: int = 64,
        memory_budget_mb: int = 512,
    ) -> None:
        self.measures = tuple(Measure.parse(text) for text in measures)
        self.depth = depth
        self.encode_batch_size = encode_batch_size
        self.memory_budget_mb = memory_budget_mb
        self._check()

    @property
    def main_measure(self) -> Measure:
        return self.measures[0]

    @property
    def memory_budget_bytes(self) -> int:
        return self.memory_budget_mb * 2**20

    def _check(self) -> None:
        if not self.measures:
            raise UserError("evaluation.measures: empty; name at least one, such as nDCG@10")
        if len(set(self.measures)) != len(self.measures):
            raise UserError("evaluation.measures: a measure occurs twice")
        for key in ("depth", "encode_batch_size", "memory_budget_mb"):
            value = getattr(self, key)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"evaluation.{key}: {value!r} is not a whole number of 1 or more")
        deepest = max(self.measures, key=lambda measure: measure.cutoff)
        if deepest.cutoff > self.depth:
            raise UserError(
                f"evaluation.depth: {self.depth} documents a query do not suffice for {deepest}; "
                f"raise it to {deepest.cutoff}"
            )
