"""The tokenizer of multilingual-e5-small, over its whole vocabulary or over the pieces that texts use."""

import unicodedata
from collections.abc import Iterable
from itertools import chain, islice

import numpy as np
from jaxtyping import Int
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from optical_sweeps.encoders.e5_file import SPECIAL_PIECES, E5File

PREFIXES = ("query: ", "passage: ")
STRETCH = 1 << 14
"""Texts tokenized in one call."""
STAND_IN = 0xE0000
"""First of the private-use characters that replace, during NFKC, characters which the vocabulary keeps."""


def make_tokenizer(file: E5File, kept: Int[np.ndarray, " k"] | None = None) -> Tokenizer:
    """The XLM-R Unigram tokenizer over the `kept` pieces (all if None), renumbered in their order."""
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


def _normalizer(file: E5File) -> normalizers.Normalizer:
    """NFKC with the exceptions of the file's map, then single spaces.

    The map converts one character at a time; NFKC also composes characters, as the original XLM-R does. They
    differ in controls that are removed, separators and joiners that become spaces, and the full-width tilde,
    which stays.
    """
    exceptions = {
        c: out for c, out in file.normalisation.items() if out != unicodedata.normalize("NFKC", chr(c))
    }
    removed = [c for c, out in exceptions.items() if out == ""]
    spaces = [c for c, out in exceptions.items() if out == " "]
    kept = [
        ord(piece)
        for piece in file.pieces
        if len(piece) == 1 and piece != "▁" and unicodedata.normalize("NFKC", piece) != piece
        and ord(piece) not in file.normalisation
    ]  # fmt: skip
    stand_ins = {chr(c): chr(STAND_IN + i) for i, c in enumerate(kept)}
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(_character_class(removed)), ""),
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
    file: E5File, tokenizer: Tokenizer, texts: Iterable[str], single_characters: bool
) -> Int[np.ndarray, " k"]:
    """Ids, ascending, of pieces that tokenize `texts` and e5's prefixes exactly as the full vocabulary does.

    A Unigram segmentation is the best path, and remains the best among fewer pieces that include its own. The
    piece of lowest score is kept as well, because the cost of an unknown character is derived from it.
    """
    used = np.zeros(len(file.pieces), bool)
    remaining = chain(PREFIXES, texts)
    while stretch := list(islice(remaining, STRETCH)):  # signals are handled between two calls
        for encoding in tokenizer.encode_batch_fast(stretch, add_special_tokens=False):
            used[encoding.ids] = True
    used[[i for i, piece in enumerate(file.pieces) if piece in SPECIAL_PIECES or piece == "▁"]] = True
    used[np.argmin(file.scores)] = True
    if single_characters:
        used |= np.fromiter((len(piece) == 1 for piece in file.pieces), bool, len(file.pieces))
    return np.flatnonzero(used)
