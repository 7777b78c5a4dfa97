"""Arrays in .npy files, which can be somebody else's."""

from pathlib import Path

import numpy as np


def load_array(path: Path, *, mapped: bool = False) -> np.ndarray:
    """The array of a file, never unpickled.

    numpy reads a header as a Python literal, and raises many types of exceptions for one that is damaged.

    Args:
        mapped: whether the array stays on disk; an empty array cannot be mapped and is read.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an array of numbers.
    """
    try:
        return _loaded(path, mapped)
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"{path.name}: not an array ({type(error).__name__}: {error})") from None


def _loaded(path: Path, mapped: bool) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except ValueError:
        array = np.load(path, allow_pickle=False) if mapped else None
        if array is None or array.size:
            raise
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name}: an archive of arrays where one array is expected")
    return array
