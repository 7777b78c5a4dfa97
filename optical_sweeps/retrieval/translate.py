"""Queries translated into English by a model of the Hugging Face hub: Marian, NLLB or M2M100.

Languages are named by ISO 639-1 codes, as everywhere here; NLLB's own names of them are written out below, and
others are given with `codes`.
"""

import hashlib
import importlib
import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from optical_sweeps.checks import one_of, whole_number
from optical_sweeps.corpora.settings import check_pattern
from optical_sweeps.encoders.backbones import is_complete, quiet_transformers
from optical_sweeps.errors import UserError

FAMILIES = ("marian", "nllb", "m2m100")
FLORES: Mapping[str, str] = MappingProxyType(
    {
        "ar": "arb_Arab", "bn": "ben_Beng", "cs": "ces_Latn", "da": "dan_Latn", "de": "deu_Latn",
        "en": "eng_Latn", "es": "spa_Latn", "fa": "pes_Arab", "fi": "fin_Latn", "fr": "fra_Latn",
        "hi": "hin_Deva", "id": "ind_Latn", "it": "ita_Latn", "ja": "jpn_Jpan", "ko": "kor_Hang",
        "mr": "mar_Deva", "nl": "nld_Latn", "pl": "pol_Latn", "pt": "por_Latn", "ru": "rus_Cyrl",
        "sk": "slk_Latn", "so": "som_Latn", "sw": "swh_Latn", "te": "tel_Telu", "th": "tha_Thai",
        "tl": "tgl_Latn", "uk": "ukr_Cyrl", "vi": "vie_Latn", "yo": "yor_Latn", "zh": "zho_Hans",
    }
)  # fmt: skip
"""NLLB's names of languages (FLORES-200: language and script)."""

_FILES = {".json", ".safetensors", ".bin", ".txt", ".model", ".spm"}


@dataclass(frozen=True)
class Translator:
    """A translation model, loaded when it is first needed; its own Python code is never run.

    Args:
        name: `owner/model` of the hub or a folder; `{language}` in it stands for the query language.
        family: marian (a pair of languages a model), nllb or m2m100 (many languages, named to the model).
        revision: branch, tag or commit on the hub.
        codes: language -> the model's own name of it, where that is neither the same nor known here.
        beams: of the beam search.
        max_tokens: of a query and of its translation.
        batch_size: queries translated at a time; changes no translation but for rounding.

    Raises:
        UserError: a setting is out of range.
    """

    name: str
    family: str = "marian"
    revision: str = "main"
    codes: Mapping[str, str] = field(default_factory=dict)
    beams: int = 4
    max_tokens: int = 64
    batch_size: int = 32
    __no_type_check__ = True

    def __post_init__(self) -> None:
        check_pattern("translator.name", self.name, {"language"})
        one_of("translator.family", self.family, FAMILIES)
        for key in ("beams", "max_tokens", "batch_size"):
            whole_number(f"translator.{key}", getattr(self, key), least=1)
        if self.family == "marian" and "{language}" not in self.name and self.codes:
            raise UserError("translator.codes: marian names no language to its model; leave it empty")

    def check(self, languages: Sequence[str]) -> None:
        """Refuse a model that is not to be had, or a language that it cannot be told.

        Raises:
            UserError: as said.
        """
        for language in (*languages, "en"):
            self._code(language)
        if self.family != "nllb":
            _library("sentencepiece")
        for language in languages:
            self._folder(language)

    def fingerprint(self, language: str) -> str:
        """A hash of the model's files and of what can change a translation."""
        settings = [self.family, self._code(language), self._code("en"), self.beams, self.max_tokens]
        normalises = self.family == "marian" and importlib.util.find_spec("sacremoses") is not None
        content = json.dumps([*settings, normalises, self._content(self._folder(language))])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def translate(
        self,
        texts: Sequence[str],
        language: str,
        device: str = "cpu",
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[str]:
        """The texts in English, in their order.

        Raises:
            UserError: no such model, or it cannot be loaded.
        """
        import torch

        model, tokenizer = self._load(language)
        model.to(device)
        options = {"num_beams": self.beams, "do_sample": False, "max_new_tokens": self.max_tokens}
        if self.family != "marian":
            options["forced_bos_token_id"] = self._target_token(tokenizer)
        order = sorted(range(len(texts)), key=lambda number: (len(texts[number]), texts[number]))
        found = [""] * len(texts)
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
                made = model.generate(**batch, **options)
            for row, text in zip(rows, tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
                found[row] = text.strip()
            progress(start + len(rows), len(order))
        return found

    def _code(self, language: str) -> str:
        if language in self.codes:
            return self.codes[language]
        if self.family != "nllb":
            return language
        if language not in FLORES:
            raise UserError(
                f"translator.codes: NLLB's name of {language} is not known here; give it, such as "
                f"+translator.codes.{language}=xxx_Latn"
            )
        return FLORES[language]

    def _target_token(self, tokenizer: Any) -> int:
        name = self._code("en")
        token = f"__{name}__" if self.family == "m2m100" else name
        number = tokenizer.convert_tokens_to_ids(token)
        if number is None or number == tokenizer.unk_token_id:
            raise UserError(f"translator.name={self.name}: its vocabulary has no {token}; is it {self.family}?")
        return int(number)

    def _load(self, language: str) -> tuple[Any, Any]:
        folder = self._folder(language)
        import transformers

        options = {} if self.family == "marian" else {"src_lang": self._code(language)}
        try:
            with quiet_transformers(), warnings.catch_warnings():
                # whether it normalises punctuation is part of the fingerprint
                warnings.filterwarnings("ignore", message=".*sacremoses")
                return self._loaded(transformers, folder, options)
        except (OSError, ValueError, KeyError, ImportError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(f"translator.name={self.name}: {folder} cannot be loaded: {reason}") from None

    def _loaded(self, transformers: Any, folder: Path, options: Mapping[str, Any]) -> tuple[Any, Any]:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            folder, trust_remote_code=False, dtype="float32"
        )
        return model.eval(), tokenizer

    def _content(self, folder: Path) -> str:
        """A hash of the files of a model, taken once: they may be gigabytes."""
        if folder not in self._contents:
            digest = hashlib.blake2b(digest_size=16)
            for path in sorted(folder.iterdir()):
                if path.suffix in _FILES and path.is_file():
                    digest.update(path.name.encode())
                    with path.open("rb") as file:
                        digest.update(hashlib.file_digest(file, "blake2b").digest())
            self._contents[folder] = digest.hexdigest()
        return self._contents[folder]

    def _folder(self, language: str) -> Path:
        name = self.name.format(language=language)
        if name not in self._folders:
            self._folders[name] = self._found(name)
        return self._folders[name]

    # cached_property writes into the instance's __dict__, which a frozen dataclass without slots allows.
    @cached_property
    def _folders(self) -> dict[str, Path]:
        return {}

    @cached_property
    def _contents(self) -> dict[Path, str]:
        return {}

    def _found(self, name: str) -> Path:
        """The named folder, or the hub's snapshot, downloaded where it is not there yet."""
        if Path(name).is_dir():
            return Path(name)
        import huggingface_hub as hub

        with suppress(Exception):  # each version of the client raises errors of its own
            cached = Path(hub.snapshot_download(name, revision=self.revision, local_files_only=True))
            if is_complete(cached):
                return cached
        try:
            info = hub.HfApi().model_info(name, revision=self.revision, timeout=10)
            files = [file.rfilename for file in info.siblings or ()]
            # most Marian models, NLLB and M2M100 have no other weights than PyTorch's
            tensors = any(file.endswith(".safetensors") and "/" not in file for file in files)
            weights = "*.safetensors" if tensors else "pytorch_model*.bin"
            patterns = ["*.json", "*.txt", "*.model", "*.spm", weights]
            return Path(
                hub.snapshot_download(name, revision=info.sha, allow_patterns=patterns, ignore_patterns=["*/*"])
            )
        except Exception as error:
            raise UserError(
                f"translator.name={name}: neither a folder nor in the hub's cache, and the hub gave "
                f"{type(error).__name__}: correct the name, or leave translate-test out of systems"
            ) from None


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"translator.family: {name} is not installed, which its tokenizer needs; "
            "pip install optical-sweeps[translate]"
        ) from error
