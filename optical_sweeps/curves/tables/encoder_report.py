"""Norms, anisotropy and spectrum of an encoder's token vectors.

Anisotropy: vectors lie in a narrow cone, so that any two of them have a high cosine (Ethayarajh 2019, arXiv
1909.00512), which flattens transport plans. The spectrum is that of the covariance (Mu and Viswanath 2018,
arXiv 1702.01417); its effective rank is a number of dimensions (Roy and Vetterli 2007).

Shape legend: T tokens, d dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from optical_sweeps.curves.tables.paper_table import PaperTable


@dataclass(frozen=True, eq=False)
class EncoderReport:
    """Statistics of the vectors of many tokens.

    Args:
        norms: mean, standard deviation, 5% and 95% quantile of the lengths before normalisation.
        mean_cosine: over pairs of different tokens.
        mean_norm: length of the mean of the unit vectors, in [0, 1]; 0 without a common direction.
        spectrum: shares of the variance along the principal axes, descending; their sum is 1, or 0 where all
            vectors are equal.
    """

    tokens: int
    norms: tuple[float, float, float, float]
    mean_cosine: float
    mean_norm: float
    spectrum: Float[np.ndarray, " d"]

    @property
    def effective_rank(self) -> float:
        """exp of the entropy of the spectrum: 1 for a line, d where all directions have the same variance."""
        shares = self.spectrum[self.spectrum > 0]
        return float(np.exp(-(shares * np.log(shares)).sum()))


def encoder_report(vectors: Float[np.ndarray, "T d"], norms: Float[np.ndarray, " T"]) -> EncoderReport:
    """The report of L2-normalised token vectors and of their lengths before normalisation.

    Raises:
        ValueError: fewer than two tokens.

    >>> report = encoder_report(np.eye(4), np.ones(4))
    >>> round(report.mean_cosine, 6), round(report.mean_norm, 6), round(report.effective_rank, 6)
    (0.0, 0.5, 3.0)
    """
    count = len(vectors)
    if count < 2:
        raise ValueError(f"{count} tokens: at least two are needed")
    vectors = vectors.astype(np.float64)
    total = vectors.sum(0)
    squares = float((vectors**2).sum())
    centred = vectors - total / count
    variances = np.clip(np.linalg.eigvalsh(centred.T @ centred)[::-1], 0.0, None)
    whole = variances.sum()
    low, high = np.quantile(norms, (0.05, 0.95))
    return EncoderReport(
        tokens=count,
        norms=(float(norms.mean()), float(norms.std()), float(low), float(high)),
        mean_cosine=(float(total @ total) - squares) / (count * (count - 1)),
        mean_norm=float(np.linalg.norm(total)) / count,
        spectrum=variances / whole if whole > 1e-12 * squares else np.zeros_like(variances),
    )


def report_table(reports: Mapping[str, EncoderReport]) -> PaperTable:
    """One row for each encoder and set of texts."""
    rows, records = [], []
    for name, report in reports.items():
        first, ten = float(report.spectrum[0]), float(report.spectrum[:10].sum())
        mean, deviation, low, high = report.norms
        rows.append(
            (
                name, f"{report.tokens:,}", f"{report.mean_cosine:.3f}", f"{report.mean_norm:.3f}",
                f"{first:.1%}", f"{ten:.1%}", f"{report.effective_rank:.1f}", f"{mean:.2f}", f"{deviation:.2f}",
                f"{low:.2f} to {high:.2f}",
            )
        )  # fmt: skip
        records.append(
            {
                "texts": name, "tokens": report.tokens, "mean_cosine": report.mean_cosine,
                "mean_norm": report.mean_norm, "first_axis": first, "ten_axes": ten,
                "effective_rank": report.effective_rank, "norm_mean": mean, "norm_sd": deviation,
                "norm_5": low, "norm_95": high,
            }
        )  # fmt: skip
    header = (
        "texts", "tokens", "mean cosine", "norm of mean", "first axis", "ten axes", "effective rank",
        "token norm", "s.d.", "5% to 95%",
    )  # fmt: skip
    caption = (
        "Token vectors: mean cosine of two tokens and length of the mean unit vector (0: no common direction); "
        "shares of variance along the first and the first ten principal axes; effective rank; lengths before "
        "normalisation."
    )
    return PaperTable(header, tuple(rows), 1, caption, tuple(records))
