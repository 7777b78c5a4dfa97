"""Translates queries into English with a model of the Hugging Face hub: Marian, NLLB or M2M100.

Languages are named by BCP 47 tags. NLLB's names of common languages are listed below; `codes` gives others.
"""

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from optical_sweeps.checks import Count
from optical_sweeps.corpora.language_tags import base_language, likely_script
from optical_sweeps.corpora.path_patterns import check_pattern
from optical_sweeps.encoders.model_folders import HubModel, quiet_transformers
from optical_sweeps.encoders.token_embeddings import Progress
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings

if TYPE_CHECKING:
    import transformers

FLORES = (
    "arb_Arab", "ben_Beng", "ces_Latn", "dan_Latn", "deu_Latn", "eng_Latn", "fin_Latn", "fra_Latn", "hin_Deva",
    "ind_Latn", "ita_Latn", "jpn_Jpan", "kor_Hang", "mar_Deva", "nld_Latn", "pes_Arab", "pol_Latn", "por_Latn",
    "rus_Cyrl", "slk_Latn", "som_Latn", "spa_Latn", "swh_Latn", "tel_Telu", "tgl_Latn", "tha_Thai", "ukr_Cyrl",
    "vie_Latn", "yor_Latn", "zho_Hans",
)  # fmt: skip
"""NLLB's names of languages (FLORES-200: language and script)."""


@settings("translator")
class Translator:
    """A translation model, loaded on first use; Python code in its folder is never run.

    Args:
        name: `owner/model` on the hub or a folder; `{language}` in it is replaced by the query language.
        family: marian (one model per language pair), nllb or m2m100 (many languages in one model).
        revision: branch, tag or commit on the hub.
        codes: language -> the model's name of it, where that is neither the same nor listed in `FLORES`.
        beams: of the beam search.
        max_tokens: maximum length of a query and of its translation.
        batch_size: queries translated at a time; translations depend on it only by rounding.
    """

    name: str
    family: Literal["marian", "nllb", "m2m100"] = "marian"
    revision: str = "main"
    codes: Mapping[str, str] = field(default_factory=dict)
    beams: Count = 4
    max_tokens: Count = 64
    batch_size: Count = 32

    def __post_init__(self) -> None:
        check_pattern(key_of("name"), self.name, {"language"})
        if self.family == "marian" and "{language}" not in self.name and self.codes:
            raise UserError(f"{key_of('codes')}: a Marian model has no names of languages; leave codes empty")

    def check(self, languages: Sequence[str]) -> None:
        """Download the models that are missing.

        Raises:
            UserError: a model is not available, a language has no known name, or a package is missing.
        """
        for language in (*languages, "en"):
            self._code(language)
        if self.family != "nllb" and importlib.util.find_spec("sentencepiece") is None:
            raise UserError(
                "translator.family: its tokenizer needs the package sentencepiece; "
                "pip install optical-sweeps[translate]"
            )
        for language in languages:
            self._model(language).folder()

    def fingerprint(self, language: str) -> str:
        """A digest of the model's content and of everything that can change a translation."""
        settings = [self.family, self._code(language), self._code("en"), self.beams, self.max_tokens]
        normalises = self.family == "marian" and importlib.util.find_spec("sacremoses") is not None
        content = json.dumps([*settings, normalises, self._model(language).content()])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def translate(
        self,
        texts: Sequence[str],
        language: str,
        device: str = "cpu",
        progress: Progress = lambda done, total: None,
    ) -> list[str]:
        """The texts in English, in their order.

        Raises:
            UserError: the model is not available or cannot be loaded.
        """
        import torch

        model, tokenizer = self._load(language)
        model.to(device)
        forced = {} if self.family == "marian" else {"forced_bos_token_id": self._target_token(tokenizer)}
        order = sorted(range(len(texts)), key=lambda number: (len(texts[number]), texts[number]))
        translations = [""] * len(texts)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = tokenizer(
                [texts[row] for row in rows],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
            ).to(device)
            with torch.inference_mode():
                tokens = model.generate(
                    **batch, **forced, num_beams=self.beams, do_sample=False, max_new_tokens=self.max_tokens
                )
            for row, text in zip(rows, tokenizer.batch_decode(tokens, skip_special_tokens=True), strict=True):
                translations[row] = text.strip()
            progress(start + len(rows), len(order))
        return translations

    def _code(self, language: str) -> str:
        if language in self.codes:
            return self.codes[language]
        if self.family != "nllb":
            return language
        names = [name for name in FLORES if _language_and_script(name) == _language_and_script(language)]
        if not names:
            raise UserError(
                f"translator.codes: NLLB's name of {language} is not known here; give it, such as "
                f"+translator.codes.{language}=xxx_Latn"
            )
        return names[0]

    def _target_token(self, tokenizer: "transformers.PreTrainedTokenizerBase") -> int:
        name = self._code("en")
        token = f"__{name}__" if self.family == "m2m100" else name
        number: int | None = tokenizer.convert_tokens_to_ids(token)
        if number is None or number == tokenizer.unk_token_id:
            raise UserError(
                f"translator.name: {self.name} has no {token} in its vocabulary; change translator.family"
            )
        return number

    def _load(
        self, language: str
    ) -> "tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]":
        import transformers

        folder = self._model(language).folder()
        source = {} if self.family == "marian" else {"src_lang": self._code(language)}
        try:
            with quiet_transformers(), warnings.catch_warnings():
                # whether sacremoses normalises punctuation is part of the fingerprint
                warnings.filterwarnings("ignore", message=".*sacremoses")
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    folder, trust_remote_code=False, **source
                )
                model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                    folder, trust_remote_code=False, dtype="float32"
                )
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"translator.name: {folder} cannot be loaded ({reason}); name another model"
            ) from None
        return model.eval(), tokenizer

    def _model(self, language: str) -> HubModel:
        name = self.name.format(language=language)
        remedy = "remove bm25_machine and teacher_machine from systems"
        return HubModel("translator.name", name, self.revision, remedy)


def _language_and_script(code: str) -> tuple[str, str | None]:
    script = likely_script(code)
    return base_language(code), "Kore" if script == "Hang" else script  # CLDR's name of hangul with hanja
