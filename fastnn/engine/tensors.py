"""Safetensors files: named tensors, and a description as JSON in the metadata. Never pickle, never eval.

A file is not trusted: the sizes that it names are compared with its own before anything is allocated, and whatever is
wrong with it is a `FileError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..core.arrays import Array
from ..errors import FileError
from ..initializers import as_json

Shape = tuple[int, ...]

FORMAT = "fastnn-1"
HEADER_LIMIT = 2**24  # bytes: a thousand layers take one megabyte, and JSON takes ten times its size in memory
# The widest first, as they lie in a file.
DTYPES = {"I64": np.dtype(np.int64), "F64": np.dtype(np.float64), "F32": np.dtype(np.float32)}
FOREIGN = {
    b"PK": "a zip archive, such as Keras writes under .keras",
    b"\x89HDF": "an HDF5 file, such as Keras writes under .h5",
    b"\x80": "a pickle, which is never executed",
    b"\x93NUMPY": "a NumPy array",
}


def content(tensors: Mapping[str, Array], description: Mapping[str, object]) -> list[bytes | memoryview]:
    """The parts of a file: its header, then the tensors, as views.

    Args:
        tensors: arrays of `DTYPES` by name; those without gaps are not copied. description: of JSON types.

    Source: the format of safetensors 0.8.0, with its order of tensors, which keeps each of them aligned.
    """
    header: dict[str, object] = {"__metadata__": {"format": FORMAT, "fastnn": json.dumps(description, default=as_json)}}
    parts: list[memoryview] = []
    start = 0
    for code, dtype in DTYPES.items():
        for name in sorted(name for name, tensor in tensors.items() if tensor.dtype == dtype):
            tensor = tensors[name]
            header[name] = {"dtype": code, "shape": tensor.shape, "data_offsets": (start, start + tensor.nbytes)}
            parts.append(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
            start += tensor.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *parts]


class TensorFile:
    """An open file; tensors are read when they are asked for.

    Attributes:
        path: the file. description: what the metadata says, of any JSON type.
        shapes: name -> dtype and shape, as the header has them.
    """

    def __init__(self, path: Path, file: Any) -> None:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT or "fastnn" not in metadata:
            raise FileError(f"{path}: a safetensors file, but not of a fastnn model")
        self.path, self._file = path, file
        try:
            self.description = json.loads(metadata["fastnn"])
        except (ValueError, RecursionError) as error:
            raise FileError(f"{path}: its description of the model is no JSON: {error}") from None
        if not isinstance(self.description, dict):
            raise FileError(f"{path}: its description of the model is no JSON object")
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        self.shapes: dict[str, tuple[str, Shape]] = {
            name: (part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()
        }

    def require(self, name: str, shape: Shape, *dtypes: np.dtype[Any]) -> None:
        """Compares a tensor with the shape and the dtypes that it may have, without reading it.

        Raises:
            FileError: it is another one, or missing.
        """
        if name not in self.shapes:
            raise FileError(f'{self.path}: the tensor "{name}" is missing')
        code, actual = self.shapes[name]
        if actual != shape or DTYPES.get(code) not in dtypes:
            expected = " or ".join(map(str, dtypes))
            raise FileError(
                f'{self.path}: the tensor "{name}" is {DTYPES.get(code, code)} {actual}, expected {expected} {shape}'
            )

    def read(self, name: str) -> Array:
        """A tensor."""
        tensor: Array = self._file.get_tensor(name)
        return tensor


@contextmanager
def opened(path: Path) -> Iterator[TensorFile]:
    """A file of `content`.

    Raises:
        FileError: it is not there, not such a file, or damaged. OSError: it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileError(f"{path}: there is no such file" if not path.exists() else f"{path}: it is not a file")
    _check_head(path)
    try:
        with safe_open(path, "numpy") as file:
            yield TensorFile(path, file)
    except SafetensorError as error:
        raise FileError(f"{path}: not a file of a fastnn model, or damaged: {error}") from None


def _check_head(path: Path) -> None:
    """Raises where the first bytes cannot be those of a safetensors file: the length of its header, then a brace."""
    with open(path, "rb") as file:
        head = file.read(9)
    length, size = int.from_bytes(head[:8], "little"), path.stat().st_size
    if head[8:] == b"{" and length <= min(size - 8, HEADER_LIMIT):
        return
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise FileError(
                f"{path}: {what}, not a file of a fastnn model; load it with the library that wrote it, and give its "
                "arrays to model.set_weights"
            )
    if head[8:] == b"{" and HEADER_LIMIT < length <= size - 8:
        raise FileError(f"{path}: its header has {length:,} bytes, expected at most {HEADER_LIMIT:,}")
    raise FileError(f"{path}: not a file of a fastnn model, or damaged")
