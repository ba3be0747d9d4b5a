"""The kernels of a card: found on disk, or compiled when they are first wanted and kept there."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from ...errors import BackendError
from . import cubins
from .device import Card, Memory, card

MOST_SHARED = 48 * 1024  # bytes that a kernel has without asking

_lock = threading.RLock()


def file_name(name: str, dtype: str) -> str:
    """The name of a kernel, and of its entry."""
    return f"fnn_{name}_{dtype}"


def ptx(name: str, dtype: str, arch: str) -> str:
    """The PTX of a kernel, which is kept on disk.

    Raises:
        BackendError: nothing here can compile it, and it was not compiled elsewhere.
    """
    cached = cubins.read(f"{file_name(name, dtype)}.ptx", arch)
    if cached is not None:
        return cached.decode()
    text = _compiled(name, dtype, arch)
    cubins.write(f"{file_name(name, dtype)}.ptx", arch, text.encode())
    return text


def _compiled(name: str, dtype: str, arch: str) -> str:
    with _lock:
        try:
            from . import compiler, sources
        except ImportError as error:
            raise BackendError(_nothing(name, arch, error)) from None
        source = sources.source(name, dtype)
        return compiler.ptx(file_name(name, dtype), source.function, source.arguments, arch, source.bounds)


def cubin(name: str, dtype: str, arch: str) -> bytes:
    """The machine code of a kernel, which is kept on disk.

    Raises:
        BackendError: see `ptx`.
    """
    cached = cubins.read(f"{file_name(name, dtype)}.cubin", arch)
    if cached is not None:
        return cached
    text = ptx(name, dtype, arch)
    with _lock:
        from . import compiler

        code = compiler.link(text, arch).cubin
    cubins.write(f"{file_name(name, dtype)}.cubin", arch, code)
    return code


def _nothing(name: str, arch: str, error: ImportError) -> str:
    found, folder = cubins.count(arch), cubins.carried() or cubins.place()
    if found:
        return (
            f"cuda: {error.name or error} is not installed, and among the {found} kernels for {arch} in {folder} is no "
            f"{name}; make them all where NVVM is: fastnn warmup --cuda {arch}"
        )
    return (
        f"cuda: {error.name or error} is not installed, and no kernels for {arch} lie in {folder}: install NVVM from "
        f'the checkout with pip install ".[cuda13]", or make kernels elsewhere with fastnn warmup --cuda {arch} and '
        "point FASTNN_CUDA_CUBINS to them"
    )


class Library:
    """The kernels of one card that are loaded."""

    def __init__(self, owner: Card) -> None:
        self._card, self._loaded = owner, dict[tuple[str, str], Any]()
        self._allowed: dict[tuple[str, str], int] = {}  # bytes of shared memory, of kernels that one asked more for

    @property
    def multiprocessors(self) -> int:
        """Of the card."""
        return self._card.multiprocessors

    def kernel(self, name: str, dtype: str, shared: int = 0) -> Any:
        """A kernel, loaded once, which may have so many bytes of shared memory.

        Raises:
            BackendError: it cannot be had.
        """
        found = self._loaded.get((name, dtype))
        if found is None:
            with _lock:
                arch = self._card.arch
                image = ptx(name, dtype, arch).encode() if self._card.emulated else cubin(name, dtype, arch)
                found = self._loaded[name, dtype] = self._card.load(image, file_name(name, dtype))
        if shared > self._allowed.get((name, dtype), MOST_SHARED):
            self._card.allow_shared(found, shared)
            self._allowed[name, dtype] = shared
        return found

    def memory(self, size: int) -> Memory:
        """So many bytes of the card's."""
        return self._card.allocate(size)

    def zeros(self, size: int) -> Memory:
        """The same, all 0."""
        memory = self._card.allocate(size)
        self._card.zero(memory.address, size)
        return memory


@cache
def loaded() -> Library:
    """The library of the first card."""
    return Library(card())
