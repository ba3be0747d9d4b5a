"""Sets of labelled images: where they are looked for, how they are fetched, and what is checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import config
from ..core.arrays import Array
from ..core.files import write_atomically
from ..core.printing import say
from ..errors import FileError
from . import archives

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Sets = tuple[tuple[Images, Labels], tuple[Images, Labels]]

KEYS = (("x_train", "y_train", "x_test", "y_test"), ("X_train", "y_train", "X_test", "y_test"))
IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
_TIMEOUT = 30.0
_CHUNK = 1 << 16


class Remote(NamedTuple):
    """A file to fetch: its name, its length in bytes, and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A set of images.

    Args:
        name: what errors call it. archive: the name of its .npz file.
        folders: under which names a folder of its IDX files is looked for; the first one is what fetched files go to.
        files: what is fetched: the archive alone, or the four IDX files. mirrors: from where, tried in this order.
    """

    name: str
    archive: str
    folders: tuple[str, ...]
    files: tuple[Remote, ...]
    mirrors: tuple[str, ...]


def load(source: Source, path: str | os.PathLike[str] | None = None) -> Sets:
    """The images and labels of `path`, of a folder where the set lies already, or of the net.

    Args:
        source: which set. path: a file or a folder to look at first; a bare name is looked for in all folders too.

    Returns:
        (x_train, y_train), (x_test, y_test); uint8, images (n, rows, columns), labels (n,).

    Raises:
        FileError: a file that is not what it should be, or none, and none that can be fetched. OSError: a folder that
            cannot be written.
    """
    for place in _places(source, path):
        if place.is_dir():
            found = _idx_files(place)
            if found is not None:
                return _sets(found, [archives.read_idx(f, rank) for f, rank in zip(found, (3, 1, 3, 1), strict=True)])
        elif place.is_file():
            return _of_archive(place)
    _fetch(source)
    return load(source)


def _places(source: Source, path: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Files and folders where the set may be, the nearest first."""
    names = [source.archive]
    if path is not None:
        yield Path(path)
        names.insert(0, os.fspath(path))
    for folder in (config.data_folder(), _cache_folder(), Path(os.path.expanduser("~"), ".keras", "datasets")):
        if folder is not None:
            yield from (folder / name for name in (*names, *source.folders))


def _cache_folder() -> Path | None:
    cache = config.cache_folder()
    return None if cache is None else cache / "datasets"


def _idx_files(folder: Path) -> list[Path] | None:
    """The four files in `folder`, under any of the names that they have been given; None if one is missing."""
    found = []
    for stem in IDX:
        names = (f"{kind}-ubyte{end}" for kind in (stem, ".".join(stem.rsplit("-", 1))) for end in ("", ".gz"))
        file = next((folder / name for name in names if (folder / name).is_file()), None)
        if file is None:
            return None
        found.append(file)
    return found


def _of_archive(path: Path) -> Sets:
    there = archives.names(path)
    for keys in KEYS:
        if set(keys) <= set(there):
            return _sets([path] * 4, archives.read_npz(path, keys))
    raise FileError(f"{path}: expected arrays {', '.join(KEYS[0])}; found {', '.join(sorted(there)) or 'nothing'}")


def _sets(files: list[Path], arrays: list[Array]) -> Sets:
    """Both parts, checked; `files` are where the four arrays come from."""
    train, test = _part(files[:2], *arrays[:2]), _part(files[2:], *arrays[2:])
    if train[0].shape[1:] != test[0].shape[1:]:
        raise FileError(f"{files[2]}: test images of shape {test[0].shape[1:]}, training ones {train[0].shape[1:]}")
    return train, test


def _part(files: list[Path], x: Array, y: Array) -> tuple[Images, Labels]:
    if x.dtype != np.uint8 or x.ndim != 3 or x.size == 0:
        raise FileError(f"{files[0]}: images are {x.dtype} {x.shape}, expected uint8 (n, rows, columns)")
    if y.dtype.kind not in "iu" or y.shape != (len(x),):
        raise FileError(f"{files[1]}: labels are {y.dtype} {y.shape}, expected integers of shape ({len(x)},)")
    if y.min() < 0 or y.max() > 9:
        raise FileError(f"{files[1]}: labels run from {y.min()} to {y.max()}, expected 0 to 9")
    return x, y.astype(np.uint8)


def _fetch(source: Source) -> None:
    """Puts all files of the set into FASTNN_DATA, or into the user's cache; each is written whole or not at all."""
    folder = config.data_folder() or _cache_folder()
    if folder is None or (folder.exists() and not folder.is_dir()):
        raise FileError(f"{source.name}: there is no folder to keep it in; set FASTNN_DATA to a folder, not {folder}")
    place = folder if len(source.files) == 1 else folder / source.folders[0]
    for file in source.files:
        if not (place / file.name).is_file():
            content = _content(source, file, place)
            place.mkdir(parents=True, exist_ok=True)
            write_atomically(place / file.name, content)


def _content(source: Source, file: Remote, place: Path) -> bytes:
    """The bytes of a file from the first mirror that has them as they should be."""
    failures = []
    for mirror in source.mirrors:
        try:
            return _download(mirror + file.name, file)
        except FileError as error:
            failures.append(str(error))
    raise FileError(
        f"{source.name}: {file.name} is not here and cannot be fetched: {'; '.join(failures)}; put it into {place} by "
        "other means, or set FASTNN_DATA to a folder that has it"
    )


def _download(address: str, file: Remote) -> bytes:
    """The checked bytes behind an address.

    Raises:
        FileError: it does not answer, stops half-way, or has other bytes.
    """
    import hashlib
    from http.client import HTTPException
    from urllib.request import urlopen

    say(f"fastnn: fetching {address} ({file.size / 1e6:.1f} MB)", "stderr")
    content = bytearray()
    try:
        with urlopen(address, timeout=_TIMEOUT) as answer:
            while len(content) <= file.size and (chunk := answer.read(_CHUNK)):
                content += chunk
    except (OSError, HTTPException, ValueError) as error:  # URLError and time-outs are OSErrors
        raise FileError(f"{address}: {getattr(error, 'reason', None) or error or type(error).__name__}") from None
    if len(content) < file.size:
        raise FileError(f"{address}: ended after {len(content):,} of {file.size:,} bytes")
    if len(content) > file.size or hashlib.sha256(content).hexdigest() != file.sha256:
        raise FileError(f"{address}: has other content than the published file (SHA-256 {file.sha256[:12]}...)")
    return bytes(content)
