"""Arrays of files that others wrote: .npz archives and IDX files. Nothing in them is executed."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array
from ..errors import FileError

if TYPE_CHECKING:
    from gzip import GzipFile


_MOST_BYTES = 2**31
_UBYTE = 8  # the IDX code of uint8


def names(path: Path) -> list[str]:
    """The names of the arrays in an .npz archive, in its order.

    Raises:
        FileError: no such file, or no such archive.
    """
    require_npz(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            return list(file.files)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None


def read_npz(path: Path, names: Iterable[str]) -> list[Array]:
    """Those arrays of an .npz archive, in the order of `names`; no objects, which would have to be unpickled.

    Raises:
        FileError: no such file or archive, a damaged one, or too little memory.
    """
    require_npz(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[name] for name in names]
    except MemoryError as error:
        raise FileError(f"{path}: not enough memory: {error}") from None
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error) from None
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise FileError(f"{path}: a member is not a NumPy array; write the file with numpy.savez")
    return arrays


def require_npz(path: Path) -> None:
    """Raises a FileError where there is no file, or where it is no zip archive."""
    if not path.is_file():
        raise FileError(f"{path}: no such file")
    try:
        with open(path, "rb") as content:
            if zipfile.is_zipfile(content):
                return
    except OSError as error:
        raise _unreadable(path, error) from None
    raise FileError(f"{path}: not an .npz file; write one with numpy.savez(path, X=X, y=y)")


def read_idx(path: Path, rank: int) -> NDArray[np.uint8]:
    """The uint8 array of an IDX file, which may be compressed by gzip.

    Args:
        path: the file. rank: how many dimensions it must have: 3 for images, 1 for labels.

    Raises:
        FileError: another kind of file, a damaged one, or one that is longer or shorter than its header says.

    Source:
        The file format as MNIST's page describes it: magic number, sizes as big-endian 32-bit integers, data.
    """
    import gzip

    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as packed:
                return _idx(path, packed, rank)
        with open(path, "rb") as file:
            return _idx(path, file, rank)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from None


def _idx(path: Path, file: IO[bytes] | GzipFile, rank: int) -> NDArray[np.uint8]:
    magic = bytes((0, 0, _UBYTE, rank))
    header = file.read(4 + 4 * rank)
    if header[:4] != magic or len(header) < 4 + 4 * rank:
        raise FileError(f"{path}: starts with {header[:4].hex() or 'nothing'}, expected {magic.hex()} of an IDX file")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
    size = math.prod(shape)
    if size > _MOST_BYTES:
        raise FileError(f"{path}: its header says {shape}, which is more than {_MOST_BYTES:,} bytes")
    content = file.read(size + 1)
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content):,}"
        raise FileError(f"{path}: its header says {size:,} bytes {shape}, it holds {more}")
    return np.frombuffer(content, np.uint8).reshape(shape).copy()


def _unreadable(path: Path, error: Exception) -> FileError:
    text = error.strerror if isinstance(error, OSError) and error.strerror else error
    return FileError(f"{path}: cannot be read: {text}")
