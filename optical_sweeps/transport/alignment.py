"""Word alignments from transport plans, and their error against gold alignments."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

from optical_sweeps.transport.plan import TransportPlan

Pair = tuple[int, int]


def aligned_pairs(plan: TransportPlan, index: int, share: float = 0.5) -> set[Pair]:
    """Pairs (i, j) of problem `index` with at least `share` of the largest mass in their row or column.

    Raises:
        ValueError: the share is not in (0, 1].

    >>> import torch
    >>> from optical_sweeps.transport import TransportProblem, solve
    >>> sorted(aligned_pairs(solve(TransportProblem.uniform(1 - torch.eye(2)[None])), 0))
    [(0, 0), (1, 1)]
    """
    return strongest_pairs(plan.matrix[index].detach(), share)


def strongest_pairs(matrix: Float[Tensor, "n m"], share: float = 0.5) -> set[Pair]:
    """Like `aligned_pairs`, for one matrix of masses, such as a plan summed from tokens to words."""
    if not 0 < share <= 1:
        raise ValueError("share must be above 0 and at most 1")
    if not matrix.numel():
        return set()
    enough = share * matrix.amax(1, keepdim=True), share * matrix.amax(0, keepdim=True)
    kept = (matrix > 0) & ((matrix >= enough[0]) | (matrix >= enough[1]))
    return {(i, j) for i, j in kept.nonzero().tolist()}


def alignment_error_rate(
    predicted: Iterable[Pair], sure: Iterable[Pair], possible: Iterable[Pair] | None = None
) -> float:
    """1 - (|A & S| + |A & P|) / (|A| + |S|), in [0, 1]; 0 if both A and S are empty.

    Sure pairs S also count as possible pairs P. Source: Och and Ney 2003, section 3.

    >>> alignment_error_rate({(0, 0), (1, 1)}, sure={(0, 0)}, possible={(1, 1)})
    0.0
    >>> alignment_error_rate({(0, 1)}, sure={(0, 0)})
    1.0
    """
    links, certain = set(predicted), set(sure)
    allowed = certain | set(possible or ())
    size = len(links) + len(certain)
    return 1 - (len(links & certain) + len(links & allowed)) / size if size else 0.0
