"""One operation of the table on one backend: its arguments, its time, and whether its result is right."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import backends
from ..backends.operators import GEMMS, CompiledOperator
from ..core.operations import OPERATIONS, Family, Operation
from .processes import repeat

Array = npt.NDArray[Any]

# What the letters of the dimensions are in each named shape.
_LAYER = {"m": 256, "n": 256, "k": 784, "b": 256, "i": 784, "o": 256, "c": 10, "p": 1 << 20, "v": 1000, "d": 16}
SHAPES: dict[str, dict[str, int]] = {
    "small": {"m": 32, "n": 32, "k": 64, "b": 32, "i": 64, "o": 32, "c": 10, "p": 2410, "v": 100, "d": 8},
    "layer": _LAYER,
    "large": {
        "m": 1024,
        "n": 1024,
        "k": 1024,
        "b": 1024,
        "i": 1024,
        "o": 1024,
        "c": 100,
        "p": 1 << 22,
        "v": 50_000,
        "d": 64,
    },
    "tall": {"m": 4096, "n": 32, "k": 64, "b": 4096, "i": 64, "o": 32, "c": 2, "p": 1 << 16, "v": 1000, "d": 8},
    "odd": {"m": 127, "n": 129, "k": 131, "b": 127, "i": 131, "o": 129, "c": 7, "p": 99_991, "v": 97, "d": 13},
}
_ORDER = "mbvpnokidc"  # without those that follow from others
CHECKED = 8  # rows of a product, at each end, that are compared with the reference
CHECKED_PARAMETERS = 4096


class WrongResult(Exception):
    """An operation has other bits than the reference."""


class Figures(NamedTuple):
    """Of one operation: seconds by median and quartiles; flops and bytes a second; the share of the peak, or of the
    bandwidth, whichever is nearer; the error."""

    operation: str
    backend: str
    dtype: str
    shape: str
    threads: int
    seconds: float
    spread: float  # the distance of the quartiles
    gflops: float
    gbytes: float
    share: float | None  # None where the limits are not known; above 1 if they come from a busier moment
    error: float  # largest difference from the reference in the wider dtype, in eps of the largest element


def sizes_of(sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of letters, and of those that follow from them."""
    return {**sizes, "t": 3 * sizes["c"] + 1, "1": 1, "e": sizes["n"] * sizes["d"]}


def letters(operation: Operation) -> list[str]:
    """The dimensions that an operation's sizes are given in: m n k, b o, v d ..."""
    found = {letter for argument in operation.arguments for letter in argument.dims}
    return [letter for letter in _ORDER if letter in found]


def shape_text(operation: Operation, sizes: Mapping[str, int]) -> str:
    """The sizes of an operation, such as 256x256x784."""
    return "x".join(str(sizes[letter]) for letter in letters(operation))


def given_shape(operation: Operation, text: str) -> dict[str, int]:
    """The sizes of a text such as 256x256x784 for an operation, or those of a name of SHAPES.

    Raises:
        ValueError: it has another number of sizes than the operation, or one that is none.
    """
    if text in SHAPES:
        columns = {"n": 2} if "embedding" in operation.name else {}  # of class numbers
        return sizes_of(SHAPES[text] | columns)
    order, parts = letters(operation), text.split("x")
    if len(parts) != len(order) or not all(part.isdecimal() and int(part) for part in parts):
        usual = shape_text(operation, given_shape(operation, "layer"))
        raise ValueError(f"{operation.name} has the sizes {' x '.join(order)}, such as {usual}; got {text!r}")
    return sizes_of(_LAYER | dict(zip(order, map(int, parts), strict=True)))


def arguments(operation: Operation, dtype: str, sizes: Mapping[str, int]) -> list[Array]:
    """Arrays with plain values: probabilities where a loss reads them, labels where it compares them."""
    generator = np.random.default_rng(0)
    made: list[Array] = []
    for argument in operation.arguments:
        shape = tuple(sizes[letter] for letter in argument.dims)
        values = generator.random(shape, np.float32) + np.float32(0.01)
        if argument.name == "y":
            classes = sizes["v"] if "embedding" in operation.name else sizes["c"]
            values = generator.integers(0, classes, shape).astype(np.float32)
        elif operation.family == Family.OPTIMIZER_STEP and argument.updated:
            values = values / 2 + (argument.name == "m")  # a mean of squares is above the square of a mean
        elif argument.dims == "bc":
            values /= values.sum(axis=1, keepdims=True)
        made.append(values.astype(np.float64 if argument.total else dtype))
    return made


def scalars(operation: Operation) -> tuple[float, ...]:
    """One plain value for each scalar of a row."""
    if operation.family == Family.DROPOUT:
        return (0.5, 1, 2, 3)
    if operation.family == Family.UNIFORM:
        return (1, 2, 3, 0)
    plain = {"keep": 1.0, "add": 0.0, "p": 1.5, "delta": 1.0, "epsilon": 1e-7}
    return tuple(plain.get(name, 0.01) for name in operation.scalars)


def _parts(operation: Operation, arrays: Sequence[Array]) -> list[Array]:
    """Copies of what is compared with the reference, which takes long: rows of a product at both ends, the first
    parameters of a step, all of anything else."""
    letter = "m" if operation.family in GEMMS[:3] else "b" if operation.family == Family.DENSE_FORWARD else ""
    if not letter and not any(argument.total for argument in operation.arguments):
        letter = "p"
    made = []
    for argument, array in zip(operation.arguments, arrays, strict=True):
        if letter and letter in argument.dims:
            axis = argument.dims.index(letter)
            length = array.shape[axis]
            ends = np.r_[: min(CHECKED, length), max(CHECKED, length - CHECKED) : length]
            array = array[:CHECKED_PARAMETERS] if letter == "p" else np.take(array, ends, axis)
        made.append(np.array(array, order="C"))
    return made


@cache
def _reference(name: str, dtype: str, shape: tuple[tuple[str, int], ...]) -> list[Array]:
    """Outputs of the reference, on parts; "wider": in float64, of values of float32."""
    operation = OPERATIONS[name]
    parts = _parts(operation, arguments(operation, "float32" if dtype == "wider" else dtype, dict(shape)))
    kind = "float64" if dtype == "wider" else dtype
    parts = [part.astype(np.float64) if dtype == "wider" else part for part in parts]
    backends.get("reference").operations(kind)[name](*parts, *scalars(operation))
    return [part for argument, part in zip(operation.arguments, parts, strict=True) if argument.output]


def verified(operation: Operation, backend: str, dtype: str, sizes: Mapping[str, int]) -> float:
    """The error of an operation, in eps of the largest element of an output: of float32 against the reference in
    float64, of float64 against the reference.

    Raises:
        WrongResult: its bits are not those of the reference.
    """
    arrays, key = arguments(operation, dtype, sizes), tuple(sorted(sizes.items()))
    backends.get(backend).operations(dtype)[operation.name](*arrays, *scalars(operation))
    outputs = zip(operation.arguments, _parts(operation, arrays), strict=True)
    found = [part for argument, part in outputs if argument.output]
    worst = 0.0
    wider = _reference(operation.name, "wider" if dtype == "float32" else dtype, key)
    for got, same, exact in zip(found, _reference(operation.name, dtype, key), wider, strict=True):
        differ = (got.view(f"u{got.itemsize}") != same.view(f"u{same.itemsize}")) & ~(np.isnan(got) & np.isnan(same))
        if differ.any():
            where = np.unravel_index(int(np.argmax(differ)), got.shape)
            raise WrongResult(
                f"{operation.name} on {backend}, {dtype}, {shape_text(operation, sizes)}: element {where} is "
                f"{got[where]!r}, expected {same[where]!r}, the reference's"
            )
        scale = float(np.abs(exact).max(initial=0.0)) * float(np.finfo(dtype).eps)
        worst = max(worst, float(np.abs(got - exact).max(initial=0.0)) / scale if scale else 0.0)
    return worst


def timeable() -> dict[str, str]:
    """`backends.available`, in which a card that is emulated is none: the time that it takes says nothing."""
    reasons = backends.available()
    if not reasons["cuda"]:
        from ..backends.cuda.device import card

        if card().emulated:
            reasons["cuda"] = "the card is emulated, and its time says nothing of a card's"
    return reasons


def usual_backends() -> list[str]:
    """The backends that are timed unless others are asked for: all that can be, but the reference."""
    return [name for name, reason in timeable().items() if not reason and name != "reference"]


def prepared(operation: Operation, backend: str, dtype: str, sizes: Mapping[str, int]) -> Any:
    """A call of no arguments that runs the operation once, with the threads of the moment; it has run once."""
    call = (
        backends.get(backend)
        .operations(dtype)[operation.name]
        .prepare(*arguments(operation, dtype, sizes), *scalars(operation))
    )
    call()
    return call


def used_threads(operation: Operation, backend: str, dtype: str, sizes: Mapping[str, int]) -> int:
    """How many threads an operation takes of those that there are."""
    operator = backends.get(backend).operations(dtype)[operation.name]
    return operator.threads(*arguments(operation, dtype, sizes)) if isinstance(operator, CompiledOperator) else 1


class Limits(NamedTuple):
    """Of the machine: flops a second, and bytes a second at sizes in elements of each of three vectors."""

    peak: float
    bandwidth: Mapping[int, float]

    def _bandwidth(self, elements: float) -> float:
        """Of three vectors of so many elements, or somewhat fewer."""
        sizes = sorted(self.bandwidth, reverse=True)
        return self.bandwidth[next((size for size in sizes if size <= elements), sizes[-1])]

    def least(self, flops: float, moved: float, elements: float) -> float:
        """The fewest seconds of an operation on so many elements, which may compute while it moves."""
        return max(flops / self.peak, moved / self._bandwidth(elements / 3))

    def floor(self, flops: float, moved: float, parameters: int) -> float:
        """The fewest seconds of products, and then of what is moved of parameters."""
        return flops / self.peak + moved / self._bandwidth(parameters)


SWEPT = tuple(1 << power for power in range(10, 26, 2))  # elements of each of three vectors: from cache to memory


_limits: dict[tuple[str, int], Limits | None] = {}
AGAIN = 2  # times that the limits are measured once more, if an operation exceeds them


def limits(dtype: str, threads: int, anew: bool = False, seconds: float = 0.05) -> Limits | None:
    """Measured in this process, once, or `anew`: the best of all times, since others took part of the machine in the
    slower ones; None without Numba, whose compiler that needs."""
    from . import limits as measured

    key = dtype, threads
    before = _limits.get(key)
    if key in _limits and not (anew and before):
        return before
    try:
        found = measured.measure({"dtype": dtype, "threads": threads, "seconds": seconds, "sizes": SWEPT})
    except ImportError:  # absent, or told to compile nothing
        _limits[key] = None
        return None
    now = Limits(found["peak"], {int(size): value for size, value in found["bandwidth"].items()})
    if before is not None:
        bandwidth = {size: max(value, before.bandwidth[size]) for size, value in now.bandwidth.items()}
        now = Limits(max(now.peak, before.peak), bandwidth)
    _limits[key] = now
    return now


def figures(
    operation: Operation, backend: str, dtype: str, sizes: Mapping[str, int], times: Sequence[float], error: float
) -> Figures:
    """From the seconds of some repetitions."""
    seconds, threads = statistics.median(times), used_threads(operation, backend, dtype, sizes)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (seconds, seconds, seconds)
    itemsize = np.dtype(dtype).itemsize
    flops, moved = operation.flops(sizes), operation.bytes(sizes, itemsize)
    elements = sum(math.prod(sizes[letter] for letter in argument.dims) for argument in operation.arguments)
    known = limits(dtype, threads)
    share = None if known is None else known.least(flops, moved, elements) / seconds
    for _ in range(AGAIN):
        if share is not None and share > 1:  # those limits come from a busier moment than this
            known = limits(dtype, threads, anew=True)
            share = None if known is None else known.least(flops, moved, elements) / seconds
    rates = flops / seconds / 1e9, moved / seconds / 1e9
    shape = shape_text(operation, sizes)
    return Figures(operation.name, backend, dtype, shape, threads, seconds, high - low, *rates, share, error)


def measured(
    operation: Operation, chosen: Sequence[str], dtype: str, sizes: Mapping[str, int], seconds: float
) -> list[Figures]:
    """Of each backend, by rounds that visit them in turn."""
    errors = {backend: verified(operation, backend, dtype, sizes) for backend in chosen}
    calls = {backend: prepared(operation, backend, dtype, sizes) for backend in chosen}
    times: dict[str, list[float]] = {backend: [] for backend in chosen}
    for _ in range(3):
        for backend, call in calls.items():
            times[backend] += repeat(call, seconds / 3)
    return [figures(operation, backend, dtype, sizes, times[backend], errors[backend]) for backend in chosen]
