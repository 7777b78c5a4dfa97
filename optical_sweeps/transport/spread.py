"""The spread of a problem's costs, which is the unit of a relative epsilon."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Spread = Literal["none", "std", "range", "mean"]


def cost_spread(cost: Float[Tensor, "B n m"], mask: Bool[Tensor, "B n m"], kind: Spread) -> Float[Tensor, " B"]:
    """Standard deviation, range (max - min) or mean magnitude of each problem's real cost entries.

    The result is 1 for `none` and for a spread of 0 or NaN, so that epsilon stays positive.

    >>> cost = torch.tensor([[[0.0, 1.0], [2.0, 9.0]]])
    >>> mask = torch.tensor([[[True, True], [True, False]]])
    >>> cost_spread(cost, mask, "range"), cost_spread(cost, mask, "mean")
    (tensor([2.]), tensor([1.]))
    """
    if kind == "none":
        return cost.new_ones(len(cost))
    count = mask.sum((1, 2)).clamp(min=1)
    real = cost.masked_fill(~mask, 0.0)
    if kind == "mean":
        spread = real.abs().sum((1, 2)) / count
    elif kind == "range":
        low, high = (cost.masked_fill(~mask, fill) for fill in (torch.inf, -torch.inf))
        spread = high.amax((1, 2)) - low.amin((1, 2)) if cost.numel() else cost.new_zeros(len(cost))
    else:
        # In units of the largest entry, because squares of large costs would overflow.
        unit = real.abs().amax((1, 2)).clamp(min=1e-30) if cost.numel() else cost.new_ones(len(cost))
        real = real / unit[:, None, None]
        mean = real.sum((1, 2)) / count
        centred = (real - mean[:, None, None]).masked_fill(~mask, 0.0)
        spread = (centred.square().sum((1, 2)) / count).sqrt() * unit
    return torch.where((spread > 0) & spread.isfinite(), spread, 1.0)
