"""The teacher of the drawn sentences: stored vectors, or the encoder itself."""

import numpy as np

from optical_sweeps.console import echo
from optical_sweeps.encoders.encoder_settings import Side
from optical_sweeps.runs.shared.prepare import SharedResources
from optical_sweeps.runs.spec.run_spec import RunSpec
from optical_sweeps.training.bitext_data import DrawnBitext
from optical_sweeps.training.distillation_pairs import DrawnTexts
from optical_sweeps.training.online_teacher import OnlineTeacher, encoding_weights
from optical_sweeps.training.stored_teacher import StoredTeacher, Teacher
from optical_sweeps.training.teacher_costs import TeacherCosts, vector_bytes


def drawn_teacher(spec: RunSpec, shared: SharedResources, drawn: DrawnBitext) -> Teacher:
    """The teacher as `training.teacher` says; vectors that have to be stored are encoded now."""
    settings, sides = spec.training, spec.student.sides
    if settings.teacher != "stored":
        tokens: dict[Side, DrawnTexts] = {
            side: drawn.tokenise(shared.teacher, drawn.english, side) for side in sides
        }
        if settings.teacher == "online" or not _stores(spec, shared, drawn, tokens):
            return OnlineTeacher(shared.teacher, tokens)
    precision = settings.teacher_precision
    return StoredTeacher({side: shared.english_vectors(drawn.english, side, precision) for side in sides})


def _stores(spec: RunSpec, shared: SharedResources, drawn: DrawnBitext, tokens: dict[Side, DrawnTexts]) -> bool:
    """Whether `training.teacher=auto` stores vectors; says why."""
    lengths = np.sum([each.lengths for each in tokens.values()], axis=0)
    costs = TeacherCosts.of(
        encoding_weights(shared.teacher),
        int(lengths.sum()),
        int(lengths[drawn.english_of_items].sum()) * spec.training.epochs,
        vector_bytes(shared.teacher.settings.dim, spec.training.teacher_precision),
        spec.machine.device(),
    )
    echo(costs.line())
    return costs.stores
