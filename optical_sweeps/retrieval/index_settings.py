"""How a document index is stored."""

from typing import Literal

from optical_sweeps.encoders.encoder_settings import Precision
from optical_sweeps.errors import UserError
from optical_sweeps.settings import key_of, settings

StoredType = Literal["float32", "float16", "int8"]
STORED_TYPES: tuple[StoredType, ...] = ("float32", "float16", "int8")

ENCODING_BLOCK = 4_096
"""Documents encoded at a time. Part of an index's content: a different block size can change the last bits."""


ENCODING_BATCH = 32
"""Documents of a batch of the encoder: 5% faster than 64 in float32 and 20% in bfloat16. Changes last bits."""


@settings("index")
class IndexSettings:
    """Precision and shard size of a document index.

    Args:
        dtype: float32, float16 or int8 (with a scale for each token): 4, 2 or 1 bytes per component.
        encode_dtype: of the matrix products that encode documents: float32, bfloat16 (faster on devices with
            native support) or float16 (GPUs only). Queries are always encoded in float32.
        shard_documents: documents of a shard, the unit that one process builds and that survives a killed
            build; a multiple of 4,096. It does not change the vectors.
    """

    dtype: StoredType = "float32"
    shard_documents: int = 65_536
    encode_dtype: Precision = "float32"

    def __post_init__(self) -> None:
        if self.shard_documents < ENCODING_BLOCK or self.shard_documents % ENCODING_BLOCK:
            nearest = max(self.shard_documents // ENCODING_BLOCK, 1) * ENCODING_BLOCK
            raise UserError(
                f"{key_of('shard_documents')}: {self.shard_documents} is not a positive multiple of "
                f"{ENCODING_BLOCK}; set {nearest}"
            )

    @property
    def vector_precision(self) -> str:
        """The settings that determine the stored vectors, for keys of stored artifacts."""
        return f"{self.dtype} from {self.encode_dtype}"

    def check_device(self, device: str) -> None:
        """Raises UserError if this type of device (`cpu`, `cuda`) does not support `encode_dtype` well."""
        if self.encode_dtype == "float16" and device == "cpu":
            raise UserError("index.encode_dtype: float16 needs a GPU; set bfloat16 or float32")
