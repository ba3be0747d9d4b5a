"""Files written atomically: a reader, or a crash, sees the old content or the new one, never a part."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Writes a file: into a temporary one beside it, then onto the disk, then under its name.

    Args:
        path: the file. content: its parts, one behind another.

    Raises:
        OSError: it cannot be written; it names `path`.
    """
    with _naming(path):
        temporary = _temporary(path)
        try:
            with open(temporary, "xb") as file:
                file.writelines(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)  # the rename itself
            finally:
                os.close(folder)


def require_writable(path: Path) -> None:
    """Tries to make a file beside `path`, which `write_atomically` will do, and removes it.

    Raises:
        OSError: it cannot be made; it names `path`.
    """
    with _naming(path):
        temporary = _temporary(path)
        open(temporary, "xb").close()
        temporary.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An OSError of the system names `path`, not the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None
