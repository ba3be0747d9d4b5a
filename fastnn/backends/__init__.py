"""The backends by name, and which one `auto` takes."""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING

from .. import config
from ..errors import ArgumentTypeError, BackendError, nearest

if TYPE_CHECKING:
    from .protocol import Backend

# Where each class is, and the module that it cannot do without.
_PLACES = {
    "numba": ("fastnn.backends.numba_cpu", "NumbaBackend", "numba"),
    "c": ("fastnn.backends.c", "CBackend", "the C library"),
    "reference": ("fastnn.backends.reference", "ReferenceBackend", "numpy"),
}
_NOT_BUILT = {
    "cuda": "not built: this version has no CUDA kernels",
}
_AUTO = ("numba", "c", "reference")

_reasons: dict[str, str] = {}


def available() -> dict[str, str]:
    """Every backend by name, with the reason why it is not available, or "" where it is."""
    return {name: _reason(name) for name in ("numba", "c", "cuda", "reference")}


def get(name: str | Backend | None = None) -> Backend:
    """A backend by name.

    Args:
        name: "numba", "c", "cuda", "reference" or "auto"; None or "auto" is what FASTNN_BACKEND names, else the fastest
            one that is available; a backend is returned as it is.

    Raises:
        BackendError: unknown, or not available.
    """
    from .protocol import Backend

    if isinstance(name, Backend):
        return name
    if name is not None and not isinstance(name, str):
        raise ArgumentTypeError(f'backend is {name!r}, expected a name such as "auto"')
    source = "backend"
    if name is None or name == "auto":
        name, source = config.default_backend(), "FASTNN_BACKEND"
    if name == "auto":
        name = _choose()
    if name not in _PLACES and name not in _NOT_BUILT:
        raise BackendError(f'{source}: unknown name "{name}"{nearest(name, ("auto", *_PLACES, *_NOT_BUILT))}')
    reason = _reason(name)
    if reason:
        usable = ", ".join(name for name, reason in available().items() if not reason)
        raise BackendError(f'{source}: "{name}" is not available: {reason}; available: {usable}')
    backend: Backend = _load(name)()
    return backend


def _choose() -> str:
    for name in _AUTO[:-1]:
        if not _reason(name):
            return name
    warnings.warn(
        f'the backends "numba" ({_reason("numba")}) and "c" ({_reason("c")}) are not available; training runs on '
        '"reference", which is right but slow; install Numba with: pip install "numba>=0.68"',
        RuntimeWarning,
        stacklevel=3,
    )
    return _AUTO[-1]


def _load(name: str) -> type[Backend]:
    module, attribute, _ = _PLACES[name]
    found: type[Backend] = getattr(importlib.import_module(module), attribute)
    return found


def _reason(name: str) -> str:
    """Why a backend cannot be used, found out once by importing it."""
    if name in _NOT_BUILT:
        return _NOT_BUILT[name]
    if name not in _reasons:
        try:
            _load(name)
        except ModuleNotFoundError as error:
            _reasons[name] = f"{error.name} is not installed"
        except Exception as error:  # a broken installation may fail in any way, and is a reason, not a crash
            text = str(error)
            _reasons[name] = text if text.startswith("not built") else f"{_PLACES[name][2]} cannot be imported: {text}"
        else:
            _reasons[name] = ""
    return _reasons[name]


__all__ = ["available", "get"]
