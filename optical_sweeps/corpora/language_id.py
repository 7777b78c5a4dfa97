"""What language a text is in, by an optional package."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from optical_sweeps.errors import UserError


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Names the language of a text."""

    def identify(self, text: str) -> tuple[str, float]:
        """(language code, probability)."""
        ...


@dataclass(frozen=True)
class Py3LangId:
    """139 languages by a small model inside the package py3langid (after langid.py: Lui and Baldwin, 2012).

    Raises:
        UserError: the package is not installed (when a text is first identified).
    """

    def identify(self, text: str) -> tuple[str, float]:
        language, probability = self._identifier.classify(text)
        return str(language), float(probability)

    @cached_property
    def _identifier(self) -> Any:
        try:
            langid = importlib.import_module("py3langid.langid")
        except ImportError:
            raise UserError(
                "data.bitexts.filters.language_id: needs a package of its own; pip install 'py3langid>=0.4'"
            ) from None
        return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
