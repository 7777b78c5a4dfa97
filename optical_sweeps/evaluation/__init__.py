"""Measures of rankings, significance of differences, and robustness; needs no torch.

>>> from optical_sweeps.evaluation import Measure, holm
>>> Measure.parse("nDCG@10").cutoff
10
>>> import numpy as np
>>> holm(np.array([0.01, 0.04, 0.03])).tolist()
[0.03, 0.06, 0.06]
"""

from typing import TYPE_CHECKING

from optical_sweeps.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from optical_sweeps.corpora.readers.trec import read_qrels
    from optical_sweeps.evaluation.answer_recall import answer_recall
    from optical_sweeps.evaluation.measures import Measure, QueryScores, evaluate, macro_average, warm_up
    from optical_sweeps.evaluation.robustness import relative_loss, spread, worst
    from optical_sweeps.evaluation.significance import Estimate, holm, randomisation_test
else:
    __getattr__ = lazy_exports(
        __name__,
        {
            "read_qrels": "optical_sweeps.corpora.readers.trec",
            "answer_recall": "optical_sweeps.evaluation.answer_recall",
            "Measure": "optical_sweeps.evaluation.measures",
            "QueryScores": "optical_sweeps.evaluation.measures",
            "evaluate": "optical_sweeps.evaluation.measures",
            "macro_average": "optical_sweeps.evaluation.measures",
            "warm_up": "optical_sweeps.evaluation.measures",
            "relative_loss": "optical_sweeps.evaluation.robustness",
            "spread": "optical_sweeps.evaluation.robustness",
            "worst": "optical_sweeps.evaluation.robustness",
            "Estimate": "optical_sweeps.evaluation.significance",
            "holm": "optical_sweeps.evaluation.significance",
            "randomisation_test": "optical_sweeps.evaluation.significance",
        },
    )

__all__ = [
    "Estimate",
    "Measure",
    "QueryScores",
    "answer_recall",
    "evaluate",
    "holm",
    "macro_average",
    "randomisation_test",
    "read_qrels",
    "relative_loss",
    "spread",
    "warm_up",
    "worst",
]
