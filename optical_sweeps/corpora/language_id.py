"""Identification of a text's language by an optional package."""

import importlib
from functools import cached_property
from typing import Protocol, runtime_checkable

from optical_sweeps.errors import UserError
from optical_sweeps.settings import settings


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Identifies the language of a text."""

    def identify(self, text: str) -> tuple[str, float]:
        """(language code, probability)."""
        ...


@runtime_checkable
class _Classifier(Protocol):
    def classify(self, text: str) -> tuple[str, float]: ...


@settings("data.bitexts.filters.language_id")
class Py3LangId:
    """139 languages by the small model in the package py3langid (after langid.py: Lui and Baldwin, 2012).

    Raises:
        UserError: the package is not installed (when a text is first identified).
    """

    def identify(self, text: str) -> tuple[str, float]:
        language, probability = self._classifier.classify(text)
        return str(language), float(probability)

    @cached_property
    def _classifier(self) -> _Classifier:
        try:
            langid = importlib.import_module("py3langid.langid")
        except ImportError:
            raise UserError(
                "data.bitexts.filters.language_id: needs an extra package; pip install 'py3langid>=0.4'"
            ) from None
        classifier: _Classifier = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
        return classifier
