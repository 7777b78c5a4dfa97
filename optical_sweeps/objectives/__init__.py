"""(student tokens, teacher tokens) -> loss and diagnostics, behind one interface."""

from optical_sweeps.objectives.contrastive import Contrastive
from optical_sweeps.objectives.interface import Objective, ObjectiveOutput
from optical_sweeps.objectives.none import NoDistillation
from optical_sweeps.objectives.optical import Optical

__all__ = ["Contrastive", "NoDistillation", "Objective", "ObjectiveOutput", "Optical"]
