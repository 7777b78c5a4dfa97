"""How a document index is stored."""

from dataclasses import dataclass
from typing import cast, get_args

from optical_sweeps.checks import one_of, whole_number
from optical_sweeps.encoders.token_encoder import Precision
from optical_sweeps.errors import UserError
from optical_sweeps.retrieval.shards import DTYPES, Dtype

STRETCH = 4_096
"""Documents encoded at a time. Part of what an index is: another stretch may round other last bits."""


@dataclass(frozen=True)
class IndexSettings:
    """Precision and cut of a document index.

    Args:
        dtype: float32, float16 or int8 (a step size for each token): 4, 2 or 1 bytes a component.
        encode_dtype: of the matrix products that encode documents: float32, bfloat16 (faster where the device
            multiplies it natively) or float16 (GPUs). Queries are encoded in float32.
        shard_documents: of a shard, which one process builds at a time and a killed build keeps; changes no
            number. A multiple of 4,096.

    Raises:
        UserError: another precision, or a cut that is no such multiple.
    """

    dtype: str = "float32"
    shard_documents: int = 65_536
    encode_dtype: str = "float32"
    __no_type_check__ = True

    def __post_init__(self) -> None:
        one_of("index.dtype", self.dtype, DTYPES)
        one_of("index.encode_dtype", self.encode_dtype, get_args(Precision))
        if whole_number("index.shard_documents", self.shard_documents, least=STRETCH) % STRETCH:
            raise UserError(
                f"index.shard_documents: {self.shard_documents} is not a multiple of {STRETCH}; "
                f"set {self.shard_documents // STRETCH * STRETCH}"
            )

    @property
    def precision(self) -> Dtype:
        return cast(Dtype, self.dtype)

    @property
    def numbers(self) -> str:
        """What of the settings the vectors depend on, for keys; early indexes were all encoded in float32."""
        return self.dtype if self.encode_dtype == "float32" else f"{self.dtype} of {self.encode_dtype}"

    @property
    def encode_precision(self) -> Precision:
        return cast(Precision, self.encode_dtype)

    def check_device(self, device: str) -> None:
        """Raise UserError where this type of device (`cpu`, `cuda`) should not encode in this precision."""
        if self.encode_dtype == "float16" and device == "cpu":
            raise UserError("index.encode_dtype: float16 needs a GPU; set bfloat16 or float32")
