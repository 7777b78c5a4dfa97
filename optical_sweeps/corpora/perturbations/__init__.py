"""Changes to queries that a robust student should tolerate: deterministic, parametric, nested over levels.

`KINDS` names them, `parse("typing@0.1")` builds one, and `perturbed` applies one to the queries of a
collection.
"""

from collections.abc import Mapping
from types import MappingProxyType

from optical_sweeps.corpora.perturbations.code_switching import CodeSwitching
from optical_sweeps.corpora.perturbations.diacritics import Diacritics
from optical_sweeps.corpora.perturbations.interface import Change, Perturbation, perturbed
from optical_sweeps.corpora.perturbations.transliteration import Transliteration
from optical_sweeps.corpora.perturbations.truncation import Truncation
from optical_sweeps.corpora.perturbations.typing_errors import TypingErrors
from optical_sweeps.corpora.perturbations.word_order import WordOrder
from optical_sweeps.errors import UserError

__all__ = ["KINDS", "Change", "Perturbation", "parse", "perturbed"]

KINDS: Mapping[str, type[Perturbation]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (TypingErrors, Diacritics, Transliteration, CodeSwitching, Truncation, WordOrder)
    }
)
"""Name -> class."""


def parse(text: object) -> Perturbation:
    """Parse `kind@level`.

    Raises:
        UserError: an unknown kind, or a level outside (0, 1].

    >>> str(parse("typing@0.10"))
    'typing@0.1'
    """
    kind, at, level = str(text).partition("@")
    try:
        number = float(level)
    except ValueError:
        number = 0.0
    if kind not in KINDS or not at or not 0 < number <= 1:
        raise UserError(
            f"evaluation.perturbations: {text!r} is not kind@level with a level above 0 and up to 1; kinds are "
            f"{', '.join(KINDS)}, such as typing@0.1"
        )
    return KINDS[kind](number)
