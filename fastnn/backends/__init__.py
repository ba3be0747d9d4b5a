"""The backends by name, and which one `auto` takes.

`auto` takes C, which starts at once; for long trainings Numba where `fastnn warmup` has compiled it and measured it
faster for this kind of work, or CUDA where that measured it faster, on this card, for a network of no more flops a
step; or whichever of C and Numba there is. It never takes the emulated card.
"""

from __future__ import annotations

import importlib
import math
import warnings
from typing import TYPE_CHECKING, NamedTuple

from .. import config
from ..errors import ArgumentError, ArgumentTypeError, BackendError, nearest
from . import card_speeds, disk_cache

if TYPE_CHECKING:
    from .protocol import Backend

_PLACES = {  # where each class is
    "numba": ("fastnn.backends.numba_cpu", "NumbaBackend"),
    "c": ("fastnn.backends.c", "CBackend"),
    "cuda": ("fastnn.backends.cuda", "CudaBackend"),
    "reference": ("fastnn.backends.reference", "ReferenceBackend"),
}
_OLDEST_NUMBA = (0, 68)

# Numba is loaded in 0.4 s, so it must be this much faster than C to be ahead after ten seconds.
LOADING = 0.04
LOADING_SECONDS = 0.5

LARGE = 30_000  # parameters, from which on a network counts as large work

_reasons: dict[str, str] = {}


class Choice(NamedTuple):
    """A backend's name, and why `auto` takes it."""

    name: str
    why: str


def available() -> dict[str, str]:
    """Every backend by name, with the reason why it is not available, or "" where it is.

    Example:
        >>> import fastnn
        >>> reasons = fastnn.backends.available()
        >>> reasons["reference"]  # no reason against it
        ''
        >>> [name for name in reasons if name != "cuda"]
        ['numba', 'c', 'reference']
    """
    return {name: _reason(name) for name in _PLACES}


def get(name: str | Backend | None = None) -> Backend:
    """A backend by name.

    Args:
        name: "numba", "c", "cuda", "reference" or "auto"; None or "auto" is what FASTNN_BACKEND names, else what there
            is: C, until a training is long enough for what `choice` takes. A backend is returned as it is.

    Raises:
        ArgumentError: an unknown name. BackendError: it is not available.

    Example:
        >>> import fastnn
        >>> fastnn.backends.get("reference").name
        'reference'
        >>> import numpy as np
        >>> C, A, B = (np.full((1, 2), value, np.float32) for value in (0, 1, 2))
        >>> fastnn.backends.get("c").operations("float32")["add"](C, A, B)
        >>> print(C)
        [[3. 3.]]
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
        if not _reason("c"):
            from .auto import AutoBackend

            return AutoBackend(_load("c")(), _patience, _chosen)
        name, why = choice()
        if name == "reference":
            warnings.warn(why, RuntimeWarning, stacklevel=2)
    if name not in _PLACES:
        raise ArgumentError(f'{source}: unknown name "{name}"{nearest(name, ("auto", *_PLACES))}')
    reason = _reason(name)
    if reason:
        usable = ", ".join(name for name, reason in available().items() if not reason)
        raise BackendError(f'{source}: "{name}" is not available: {reason}; available: {usable}')
    backend: Backend = _load(name)()
    return backend


def choice(
    dtype: str | None = None, parameters: int | None = None, threads: int | None = None, batch: int = 0
) -> Choice:
    """What `auto` takes for a long training of a model; the same all through a process.

    Args:
        dtype: "float32" or "float64"; None is `config.floatx()`. parameters: how many the model has, None if not known
            yet, which counts as large. threads: None is `config.get_num_threads()`. batch: rows of a step; 0 if not
            known yet, for which no card is taken.

    Example:
        >>> import fastnn
        >>> small = fastnn.backends.choice("float32", parameters=2410, threads=1)
        >>> small.name in fastnn.backends.available(), bool(small.why)
        (True, True)
    """
    dtype = dtype or config.floatx()
    if _reason("c"):
        if not _reason("numba"):
            return Choice("numba", f"c is not available ({_reason('c')})")
        return Choice(
            "reference",
            f'the backends "numba" ({_reason("numba")}) and "c" ({_reason("c")}) are not available; training runs on '
            '"reference", which is right but slow; install Numba with: pip install "numba>=0.68"',
        )
    speed, why = _promise(dtype, parameters, threads)
    if _card_speed(dtype, parameters, batch) > speed:
        faster, how = _card_promise(dtype, parameters, batch)
        if faster:
            return Choice("cuda", how)
    if speed and _reason("numba"):  # what loads Numba is asked last
        return Choice("c", f"numba is not available ({_reason('numba')})")
    return Choice("numba" if speed else "c", why)


def _card_promise(dtype: str, parameters: int | None, batch: int) -> tuple[float, str]:
    """How many times as fast as C the card of this machine trains, 0.0 where it is not to be taken; and why."""
    speed, measured = _card_speed(dtype, parameters, batch), card_speeds.read()
    if measured is None or speed <= 1.0 + LOADING:
        return 0.0, "not measured faster"
    why = why_not_card(measured)  # loads CUDA
    if why:
        return 0.0, why
    repaid = _repaid(speed, measured.loading)
    return speed, f"it trains {speed:.2f} times as fast as c here; c until a training has taken {repaid:.1f} s"


def why_not_card(measured: card_speeds.Measured) -> str:
    """Why what was measured says nothing of the card of this machine; "" where it does."""
    if _reason("cuda"):
        return f"cuda is not available ({_reason('cuda')})"
    from .cuda.device import card

    found = card()
    if found.emulated:
        return "the card is emulated, and its time says nothing of a card's"
    if (found.name, card_speeds.dotted(found.driver)) != (measured.card, measured.driver):
        return f"{measured.card} with a driver for CUDA {measured.driver} was measured; run `fastnn warmup` anew"
    return ""


def _promise(dtype: str, parameters: int | None, threads: int | None = None) -> tuple[float, str]:
    """How many times as fast as C Numba trains, if it is worth its loading, and else 0.0; and why."""
    if (_reasons.get("numba") or not disk_cache.key()) and _reason("numba"):
        return 0.0, f"numba is not available ({_reason('numba')})"
    if disk_cache.damaged(dtype):
        return 0.0, f"numba's {dtype} kernels on disk are damaged; `fastnn warmup` compiles them anew"
    if not disk_cache.compiled(dtype):
        return 0.0, f"numba has no {dtype} kernels on disk yet; `fastnn warmup` compiles and measures them"
    speed = disk_cache.speeds_on_disk().get(kind(dtype, parameters, threads))
    if speed is None:
        return 0.0, "it has not been measured against numba here; `fastnn warmup` does that"
    if speed <= 1.0 + LOADING:
        return 0.0, f"numba trains {speed:.2f} times as fast here, which does not repay its loading"
    return speed, f"it trains {speed:.2f} times as fast as c here; c until a training has taken {_repaid(speed):.1f} s"


def _repaid(speed: float, loading: float = LOADING_SECONDS) -> float:
    """The seconds of training after which a backend would have repaid its loading."""
    return loading / (1.0 - 1.0 / speed)


def _patience(dtype: str, parameters: int, batch: int) -> float:
    """By what is on disk alone: nothing is loaded yet."""
    speed, _ = _promise(dtype, parameters)
    faster, measured = _card_speed(dtype, parameters, batch), card_speeds.read()
    if measured is not None and faster > max(speed, 1.0 + LOADING):
        return _repaid(faster, measured.loading)
    return _repaid(speed) if speed else math.inf


def _card_speed(dtype: str, parameters: int | None, batch: int) -> float:
    """How many times as fast as C a card was measured for a network of such a size; 0.0 where none was."""
    measured = card_speeds.read()
    if measured is None or not parameters:
        return 0.0
    return measured.speed(dtype, card_speeds.flops_of(parameters, batch))


def _chosen(dtype: str, parameters: int, batch: int) -> Backend:
    return _load(choice(dtype, parameters, batch=batch).name)()


def kind(dtype: str, parameters: int | None, threads: int | None = None) -> str:
    """The kind of work that a model is, by which speeds are kept."""
    threads = threads or config.get_num_threads()
    size = "large" if parameters is None or parameters >= LARGE else "small"
    return f"{dtype}, {size} networks, {'one thread' if threads == 1 else 'several threads'}"


def _load(name: str) -> type[Backend]:
    module, attribute = _PLACES[name]
    found: type[Backend] = getattr(importlib.import_module(module), attribute)
    return found


def _reason(name: str) -> str:
    """Why a backend cannot be used, found out once by importing it."""
    if name not in _reasons:
        try:
            if name == "numba":
                _require_usable_numba()
            _load(name)
            if name == "cuda":
                _require_card()
        except ModuleNotFoundError as error:
            missing = "not installed" if error.name == name != "cuda" else f"{error.name} is not installed"
            _reasons[name] = missing if name != "cuda" else f'{missing}; from the checkout: pip install ".[cuda13]"'
        except BackendError as error:
            _reasons[name] = str(error)
        except Exception as error:  # a broken installation may fail in any way, and is a reason, not a crash
            text = " ".join(str(error).split())
            _reasons[name] = text if text.startswith("not built") else f"cannot be used: {text}"
        else:
            _reasons[name] = ""
    return _reasons[name]


def _require_usable_numba() -> None:
    """Raises what is wrong with the installed Numba, before its modules are used."""
    import numba

    found = tuple(int(part) for part in numba.__version__.split(".")[:2])
    if found < _OLDEST_NUMBA:
        raise ImportError(f"it is version {numba.__version__}, expected 0.68 or later")


def _require_card() -> None:
    """Raises what is wrong with the card."""
    from .cuda.device import card

    card()


__all__ = ["Choice", "available", "choice", "get", "kind"]
