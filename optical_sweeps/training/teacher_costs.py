"""Rough bytes and seconds of a teacher's vectors, stored before the training or encoded in its steps."""

from dataclasses import dataclass

from optical_sweeps.console import size_text

OPERATIONS_PER_SECOND = {"cpu": 5e10, "cuda": 5e13}
"""What a device is assumed to do of an encoder's forward pass."""
WRITTEN_PER_SECOND, READ_PER_SECOND = 2e8, 1e9
"""Bytes of stored vectors, on a disk and through its cache."""
MOST_BYTES = 10**11
"""Vectors of one run that are stored at most."""
TOLERANCE = 1.1
"""Stored vectors also serve other runs and epochs, so they may take somewhat longer."""
VALUE_BYTES = {"float32": 4, "float16": 2, "int8": 1}
"""Bytes of a stored component, by `training.teacher_precision`."""
SCALE_BYTES = 4
"""Bytes of the scale of a vector in int8."""


def vector_bytes(dim: int, precision: str) -> int:
    """Bytes of a stored token vector.

    >>> vector_bytes(128, "float32"), vector_bytes(128, "int8")
    (512, 132)
    """
    return dim * VALUE_BYTES[precision] + (SCALE_BYTES if precision == "int8" else 0)


def encoding_seconds(weights: int, tokens: int, device: str) -> float:
    """Seconds of a forward pass.

    Args:
        weights: of the encoder without its embeddings; a token takes two operations for each.
        device: cpu or cuda; a number after a colon is ignored.
    """
    speed = OPERATIONS_PER_SECOND.get(device.split(":")[0], OPERATIONS_PER_SECOND["cpu"])
    return tokens * 2 * weights / speed


@dataclass(frozen=True)
class TeacherCosts:
    """Bytes and seconds of stored vectors, and seconds of encoding in the steps.

    It depends only on the run and the kind of device, so that a resumed run chooses as before.
    """

    stored_bytes: int
    stored_seconds: float
    online_seconds: float

    @classmethod
    def of(
        cls, weights: int, distinct_tokens: int, used_tokens: int, bytes_per_vector: int, device: str
    ) -> "TeacherCosts":
        """The costs for a run.

        Args:
            weights, device: as in `encoding_seconds`.
            distinct_tokens: tokens of the distinct English texts.
            used_tokens: tokens of the English texts of all steps.
        """
        stored = (
            encoding_seconds(weights, distinct_tokens, device)
            + distinct_tokens * bytes_per_vector / WRITTEN_PER_SECOND
            + used_tokens * bytes_per_vector / READ_PER_SECOND
        )
        online = encoding_seconds(weights, used_tokens, device)
        return cls(distinct_tokens * bytes_per_vector, stored, online)

    @property
    def stores(self) -> bool:
        """Whether stored vectors are the better choice."""
        return self.stored_bytes <= MOST_BYTES and self.stored_seconds <= TOLERANCE * self.online_seconds

    def line(self) -> str:
        """The choice and its reasons."""
        return (
            f"teacher: {'stored' if self.stores else 'online'}; storing its vectors takes "
            f"{size_text(self.stored_bytes)} and about {self.stored_seconds:.0f} s, encoding in the steps "
            f"about {self.online_seconds:.0f} s"
        )
