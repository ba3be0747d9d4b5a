"""Where tables come from: files, packed or not, pipes and standard input."""

from __future__ import annotations

import importlib
import io
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import FileError

STDIN = "/dev/stdin"
_PACKED = {".gz": ("gzip", b"\x1f\x8b"), ".bz2": ("bz2", b"BZh"), ".xz": ("lzma", b"\xfd7zXZ")}  # and how they begin
_ZIP = b"PK\x03\x04"  # as .npz files begin


def name_of(text: str) -> str:
    """DATA of the command line: "-" is standard input."""
    return STDIN if text == "-" else text


def suffix(data: str) -> str:
    """The ending of a file's name, such as ".csv", without that of what packed it."""
    return _unpacked(data).suffix.lower()


def stem(data: str) -> str:
    """The name of a file without its endings."""
    return _unpacked(data).stem


def _unpacked(data: str) -> Path:
    path = Path(data)
    return path.with_suffix("") if path.suffix.lower() in _PACKED else path


def is_stream(data: str) -> bool:
    """Whether it can be read once only: standard input, or a pipe such as the shell's <(...)."""
    path = Path(data)
    return data == STDIN or (path.exists() and not path.is_file() and not path.is_dir())


def begins_as_archive(path: Path) -> bool:
    """Whether a file begins as .npz files do."""
    with open(path, "rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def opener(path: Path) -> Callable[[], BinaryIO]:
    """What opens a table at its beginning, unpacked, as often as it is called.

    Raises:
        FileError: it cannot be read, is damaged, or is an archive in a pipe.
    """
    try:
        if not is_stream(str(path)):
            with open(path, "rb") as file:
                module = _packed(file.read(8))
            if not module:
                return lambda: open(path, "rb")
            content = path.read_bytes()
        elif str(path) != STDIN:
            content = path.read_bytes()
        elif sys.stdin is None:
            raise FileError(f"{path}: standard input is closed; give it a table")
        else:
            content = sys.stdin.buffer.read()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    if content.startswith(_ZIP):
        raise FileError(f"{path}: an archive, which is not read from a pipe; give the path of the .npz file")
    table = _unpack(path, content)
    return lambda: io.BytesIO(table)


def _unpack(path: Path, content: bytes) -> bytes:
    name = _packed(content)
    if not name:
        return content
    module = importlib.import_module(name)
    try:
        return bytes(module.decompress(content))
    except (OSError, EOFError, ValueError, zlib.error, getattr(module, "LZMAError", OSError)) as error:
        raise FileError(f"{path}: cannot be unpacked: {error}") from None


def _packed(start: bytes) -> str:
    """The module that unpacks what begins so; "" for what is not packed."""
    return next((module for module, magic in _PACKED.values() if start.startswith(magic)), "")
