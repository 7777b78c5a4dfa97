"""Folders of Hugging Face models: given by path, found in the hub's cache, or downloaded."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optical_sweeps.corpora.readers.digests import file_digest
from optical_sweeps.errors import UserError, first_line
from optical_sweeps.limits import read_json

if TYPE_CHECKING:
    import huggingface_hub

COUNTED = (".json", ".safetensors", ".bin", ".txt", ".model", ".spm", ".metadata")
"""Suffixes of files that count in a folder's digest; model cards, figures and logs do not."""
TRAINING_ARGUMENTS = "training_args.bin"


@dataclass(frozen=True)
class HubModel:
    """A model by path or by its name on the Hugging Face hub.

    Args:
        key: the config key of the name, for messages.
        name: path of a folder, or `owner/model`.
        revision: branch, tag or commit on the hub.
        remedy: what to do if there is no such model, in addition to correcting the name.
    """

    key: str
    name: str
    revision: str
    remedy: str

    def local_folder(self) -> Path | None:
        """The named folder, or a complete snapshot in the local cache; None if there is neither.

        Raises:
            UserError: the named folder lacks a config or weights.
        """
        folder = Path(self.name)
        if folder.is_dir():
            if not _is_complete(folder):
                raise UserError(f"{self.key}: {self.name} has no config.json with weights; complete the folder")
            return folder
        import huggingface_hub as hub
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            snapshot = Path(
                hub.snapshot_download(
                    self.name,
                    revision=self.revision,
                    local_files_only=True,
                    cache_dir=hub.constants.HF_HUB_CACHE,
                )
            )
        except (HFValidationError, LocalEntryNotFoundError):
            return None
        return snapshot if _is_complete(snapshot) else None

    def content(self) -> str:
        """Identifies the model's content: the commit on the hub, or a digest of the folder's files."""
        folder = self.local_folder()
        if folder is None:
            return str(self._hub_info().sha)
        return folder.name if folder.parent.name == "snapshots" else folder_digest(folder)

    def check(self) -> None:
        """Raises UserError if the model is neither on this machine nor on the hub."""
        self.config()

    def config(self) -> Mapping[str, object]:
        """The content of its config.json, or of the part that the hub states.

        Raises:
            UserError: the model is neither on this machine nor on the hub, or its config.json is damaged.
        """
        folder = self.local_folder()
        if folder is None:
            return self._hub_info().config or {}
        try:
            content = read_json(folder / "config.json")
        except (OSError, ValueError) as error:
            raise UserError(f"{self.key}: {folder / 'config.json'}: {first_line(error)}; correct it") from None
        if not isinstance(content, dict):
            raise UserError(f"{self.key}: {folder / 'config.json'}: it is not a JSON object; correct it")
        return content

    def folder(self) -> Path:
        """The model's folder, downloaded if necessary."""
        return self.local_folder() or self._download()

    def _hub_info(self) -> "huggingface_hub.ModelInfo":
        import huggingface_hub as hub

        try:  # one request with a short timeout: without a network the user should know at once
            return hub.HfApi().model_info(self.name, revision=self.revision, timeout=10)
        except Exception as error:  # the client's errors differ between its versions
            raise self._missing(error) from None

    def _download(self) -> Path:
        import huggingface_hub as hub

        info = self._hub_info()
        names = [file.rfilename for file in info.siblings or ()]
        # Most Marian models, NLLB and M2M100 have only PyTorch weights.
        has_safetensors = any(name.endswith(".safetensors") and "/" not in name for name in names)
        weights = "*.safetensors" if has_safetensors else "pytorch_model*.bin"
        try:
            folder = hub.snapshot_download(
                self.name,
                revision=info.sha,
                allow_patterns=["*.json", "*.txt", "*.model", "*.spm", weights],
                ignore_patterns=["*/*"],
                cache_dir=hub.constants.HF_HUB_CACHE,
            )
        except Exception as error:
            raise self._missing(error) from None
        return Path(folder)

    def _missing(self, error: Exception) -> UserError:
        from huggingface_hub import constants

        return UserError(
            f"{self.key}: {self.name} (revision {self.revision}) is neither a folder nor in the cache "
            f"{constants.HF_HUB_CACHE}, and the hub answered {type(error).__name__}; correct the name, "
            f"download the model on a machine with network access and set HF_HOME to the copy, or {self.remedy}"
        )


def folder_digest(folder: Path) -> str:
    """A digest of the names and contents of a model's files; hidden files do not count."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if hidden or file.suffix not in COUNTED or file.name == TRAINING_ARGUMENTS or not file.is_file():
            continue
        digest.update(f"{name.as_posix()}\0{file_digest(file).hex()}\n".encode())
    return digest.hexdigest()


def _is_complete(folder: Path) -> bool:
    """Whether a folder has a model with its weights, unlike an interrupted download."""
    weights = (*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin"))
    return (folder / "config.json").is_file() and any(file.exists() for file in weights)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Suppress load reports and progress bars: weights are dropped on purpose here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
