"""Rounding a nearly feasible matrix onto the transport polytope."""

import torch
from jaxtyping import Float
from torch import Tensor


def round_to_polytope(
    matrix: Float[Tensor, "B n m"], a: Float[Tensor, "B n"], b: Float[Tensor, "B m"]
) -> Float[Tensor, "B n m"]:
    """A plan with marginals a and b (of equal mass) whose L1 distance is at most twice the marginal error.

    Rows and then columns with too much mass are scaled down; the missing mass is added as a rank-one plan.
    Source: Altschuler, Weed and Rigollet 2017, algorithm 2.

    >>> half = torch.full((1, 2), 0.5)
    >>> round_to_polytope(torch.tensor([[[0.5, 0.1], [0.0, 0.4]]]), half, half).sum((1, 2))
    tensor([1.])
    """
    tiny = torch.finfo(matrix.dtype).tiny
    rows = matrix.sum(2)
    matrix = matrix * (a / rows.clamp(min=tiny)).clamp(max=1.0).unsqueeze(2)
    columns = matrix.sum(1)
    matrix = matrix * (b / columns.clamp(min=tiny)).clamp(max=1.0).unsqueeze(1)
    missing_rows = (a - matrix.sum(2)).clamp(min=0.0)
    missing_columns = (b - matrix.sum(1)).clamp(min=0.0)
    missing = missing_rows.sum(1).clamp(min=tiny)[:, None, None]
    return matrix + missing_rows.unsqueeze(2) * (missing_columns.unsqueeze(1) / missing)
