"""Distillation objectives: (student tokens, teacher tokens) -> loss and diagnostics."""

from optical_sweeps.objectives.align import Align
from optical_sweeps.objectives.combination import Combination
from optical_sweeps.objectives.contrastive import Contrastive
from optical_sweeps.objectives.greedy_align import GreedyAlign
from optical_sweeps.objectives.interface import (
    Documents,
    Objective,
    ObjectiveOutput,
    check,
    distil,
    english_weight,
    mean_output,
    needs,
)
from optical_sweeps.objectives.mse import MSE
from optical_sweeps.objectives.none import NoDistillation
from optical_sweeps.objectives.optical import Optical
from optical_sweeps.objectives.score_kl import ScoreKL
from optical_sweeps.objectives.triplet import Triplet

__all__ = [
    "MSE",
    "Align",
    "Combination",
    "Contrastive",
    "Documents",
    "GreedyAlign",
    "NoDistillation",
    "Objective",
    "ObjectiveOutput",
    "Optical",
    "ScoreKL",
    "Triplet",
    "check",
    "distil",
    "english_weight",
    "mean_output",
    "needs",
]
