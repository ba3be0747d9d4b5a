"""Files written atomically: a reader, or a crash, sees the old content or the new one, never a part."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import ArgumentError, ArgumentTypeError

# What says that a file cannot be replaced, although it may be written: it is a mount, or its folder is not writable.
_IN_PLACE = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)

_LOCKS = os.name == "posix"  # elsewhere a file that is open cannot be removed, nor renamed


def path_of(where: str, name: str, value: object) -> Path:
    """A path that an argument names.

    Raises:
        ArgumentError: it is empty, or no name that a file can have. ArgumentTypeError: it is no path.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(text := os.fspath(value), str):
        raise ArgumentTypeError(f"{where}: {name} is {value!r}, expected the path of a file")
    try:
        usable = bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half of a surrogate pair
        usable = False
    if not usable:
        raise ArgumentError(f"{where}: {name} is {text!r}, expected the path of a file")
    return Path(text)


def write_atomically(path: Path, *content: bytes | memoryview) -> None:
    """Writes a file: into a temporary one beside it, then onto the disk, then under its name.

    What a link leads to is written, with the mode and the owner that it had. A device or a pipe, and a file that
    cannot be replaced, such as a mount, are written in place.

    Args:
        path: the file. content: its parts, one behind another.

    Raises:
        OSError: it cannot be written; it names `path`.
    """
    with _naming(path):
        target, before = _target(path)
        if before is not None and not stat.S_ISREG(before.st_mode):
            _write_in_place(target, content)
            return
        try:
            _replace(target, before, content)
        except OSError as error:
            if before is None or error.errno not in _IN_PLACE or not os.access(target, os.W_OK):
                raise
            _write_in_place(target, content)


def require_writable(path: Path) -> None:
    """Tries to make a file beside `path`, which `write_atomically` will do, and removes it.

    Raises:
        OSError: it cannot be made; it names `path`.
    """
    with _naming(path):
        target, before = _target(path)
        if before is not None and os.access(target, os.W_OK):
            return
        temporary = _temporary(target)
        open(temporary, "xb").close()
        temporary.unlink(missing_ok=True)


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    """What a path leads to, and its state if it is there."""
    try:
        before = os.stat(path)
    except FileNotFoundError:
        before = None
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.is_symlink() and (before is None or stat.S_ISREG(before.st_mode)):
        return Path(os.path.realpath(path)), before
    return path, before


def _replace(target: Path, before: os.stat_result | None, content: tuple[bytes | memoryview, ...]) -> None:
    _sweep(target)
    temporary, file = _opened(target)
    try:
        with file:
            file.writelines(content)
            file.flush()
            if before is not None:
                _keep(temporary, before)
            os.fsync(file.fileno())
            if not _LOCKS:
                file.close()
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)


def _write_in_place(target: Path, content: tuple[bytes | memoryview, ...]) -> None:
    with open(target, "wb") as file:
        file.writelines(content)
        file.flush()
        with suppress(OSError):  # a pipe is on no disk
            os.fsync(file.fileno())


def _keep(temporary: Path, before: os.stat_result) -> None:
    """Gives a file the owner and the mode of another."""
    with suppress(OSError, AttributeError):
        os.chown(temporary, before.st_uid, before.st_gid)
    with suppress(OSError):
        os.chmod(temporary, stat.S_IMODE(before.st_mode))


# Temporary files: their names say of which file they are, and a lock that somebody writes them. Who was killed holds
# none, and what is left of him goes when the file is written next.


def _prefix(target: Path) -> str:
    """Short, however long the name of the file is."""
    encoded = os.fsencode(target.name)
    return f".{target.name if len(encoded) <= 200 else hashlib.blake2b(encoded, digest_size=8).hexdigest()}."


def _temporary(target: Path) -> Path:
    return target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}.tmp")


def _lock(file: BinaryIO, wait: bool) -> None:
    if _LOCKS:
        from fcntl import LOCK_EX, LOCK_NB, flock

        flock(file.fileno(), LOCK_EX if wait else LOCK_EX | LOCK_NB)


def _opened(target: Path) -> tuple[Path, BinaryIO]:
    """A temporary file of its own, locked."""
    while True:
        temporary = _temporary(target)
        file = open(temporary, "xb")  # noqa: SIM115
        with suppress(OSError):  # a file system without locks
            _lock(file, wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()  # another one swept it before it was locked


def _sweep(target: Path) -> None:
    """Removes what killed processes left of this file."""
    ours = re.compile(re.escape(_prefix(target)) + "[0-9a-f]{8}[.]tmp")
    with suppress(OSError):
        for entry in os.scandir(target.parent):
            if ours.fullmatch(entry.name):
                with suppress(OSError), open(entry.path, "rb") as file:
                    _lock(file, wait=False)
                    os.unlink(entry.path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An OSError of the system names `path`, not the temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from None
