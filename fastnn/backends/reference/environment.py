"""The floating-point environment that the contract wants: round to nearest, denormals kept, nothing trapped."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np

_Saved = ctypes.c_char * 256  # more than any platform's fenv_t
_DEFAULT = ctypes.c_void_p(-1)  # FE_DFL_ENV of glibc


@functools.cache  # a library object has cycles in it
def _glibc() -> ctypes.CDLL | None:
    """The library of `fesetenv` where it is glibc, whose default environment has the address above; else None."""
    try:
        library = ctypes.CDLL("libm.so.6")
        library.fegetenv.argtypes = library.fesetenv.argtypes = [ctypes.c_void_p]
    except (OSError, AttributeError):
        return None
    return library


def guarded(operation: Callable[..., None]) -> Callable[..., None]:
    """The operation, run without warnings in the IEEE default environment, after which the caller's comes back."""
    library = _glibc()

    @functools.wraps(operation)
    def silent(*arguments: object) -> None:
        with np.errstate(all="ignore"):
            operation(*arguments)

    if library is None:
        return silent

    @functools.wraps(operation)
    def run(*arguments: object) -> None:
        saved = _Saved()
        library.fegetenv(saved)
        library.fesetenv(_DEFAULT)
        try:
            silent(*arguments)
        finally:
            library.fesetenv(saved)

    return run
