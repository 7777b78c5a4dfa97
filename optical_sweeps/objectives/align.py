"""Distillation that only pulls aligned tokens together, for any alignment."""

from typing import ClassVar, Literal

from jaxtyping import Int
from torch import Tensor

from optical_sweeps.checks import NonNegativeFloat
from optical_sweeps.encoders.token_embeddings import TokenEmbeddings
from optical_sweeps.objectives.devices import mean_vector
from optical_sweeps.objectives.interface import ObjectiveOutput
from optical_sweeps.objectives.scores import ScoreName, centred, paired_scores, plan_diagnostics
from optical_sweeps.settings import settings


@settings("objective")
class Align:
    """loss = mean over pairs of 1 - f(student, teacher), where f averages the cosines of aligned tokens.

    `contrastive` with the same scores pulls with the same alignment and also pushes other sentences away. The
    two objectives separate the effect of the alignment from that of the push.

    Args:
        alignment: `ot` (the exact transport plan; the loss is that of `optical` with an exact plan), `hard`
            (the token that receives most of a token's mass), `maxsim` (the nearest teacher token),
            `nearest_both` (the mean of both directions), or `pooled` (mean vectors).
        centre: `both` subtracts the teacher's mean token vector of the batch from both sides; `none` does not.
        english_weight: weight of the English term; see `distil`.
        name: the objective's name in tables and figures.
    """

    alignment: ScoreName = "ot"
    centre: Literal["none", "both"] = "both"
    english_weight: NonNegativeFloat = 0.0
    name: str = "align"
    trains: ClassVar[bool] = True

    def __call__(
        self, student: TokenEmbeddings, teacher: TokenEmbeddings, english: Int[Tensor, " B"]
    ) -> ObjectiveOutput:
        if self.centre == "both":
            mean = mean_vector(teacher.vectors[teacher.mask])
            student, teacher = centred(student, mean), centred(teacher, mean)
        score = paired_scores(self.alignment, student, teacher).mean()
        diagnostics = plan_diagnostics(self.alignment, student, teacher)
        return ObjectiveOutput(1 - score, {"aligned_cosine": score.detach(), **diagnostics})
