"""What the operations are tried on: shapes, scalars, values, and buffers with guards round them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.core.operations import Argument, Family, Operation

Array = npt.NDArray[Any]

# Operations whose sides are often equal, or 0.
_ROUGH = ("maximum", "minimum", "less", "equal", "not_equal", "keep", "drop")
GUARD = 21  # elements before, after, and between the rows of every buffer: a vector's width and more, and odd
GUARD_BYTE = 0xA5

# m n k: around the tiles, around the chunks of 256, tall, wide, and large enough to be packed.
PRODUCTS = (
    (0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 17, 3), (2, 3, 15), (15, 16, 17), (16, 16, 16), (17, 31, 33),
    (33, 32, 31), (6, 64, 64), (7, 65, 13), (7, 13, 255), (3, 5, 256), (5, 3, 257), (2, 17, 513), (131, 3, 7),
    (3, 131, 5), (70, 130, 300), (48, 259, 20), (50, 300, 257), (129, 600, 265),
)  # fmt: skip
# rows, columns
GRIDS = (
    (0, 5), (1, 1), (2, 3), (3, 2), (1, 15), (2, 16), (3, 17), (31, 33), (33, 31), (37, 10), (24, 16), (32, 32),
    (67, 1), (1, 131), (3, 257), (5, 64), (257, 3),
)  # fmt: skip
VECTORS = (0, 1, 2, 3, 15, 16, 17, 31, 33, 257, 4095, 4096, 4097, 12289)

# What normalizes Z, whose mean may be far from 0.
NORMALIZED = (
    Family.BATCH_MOMENTS, Family.STANDARDIZE_FORWARD, Family.BATCH_NORM_FORWARD, Family.LAYER_NORM_FORWARD,
)  # fmt: skip

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0)


class Case(NamedTuple):
    """One call: sizes, scalars, and the kind of values ("plain"; "offset": normalized inputs far from 0 beside their
    deviation; "special": NaN, infinities, zeros, denormals)."""

    sizes: dict[str, int]
    scalars: tuple[float, ...]
    values: str

    def __str__(self) -> str:
        return f"{self.sizes}, scalars {self.scalars}, {self.values} values"


def cases(operation: Operation) -> Iterator[Case]:
    """The cases of an operation: all shapes with plain values, and two shapes with others."""
    shapes = list(_shapes(operation))
    kinds = ("offset", "special") if operation.family in NORMALIZED else ("special",)
    middle = (len(shapes) // 2, len(shapes) // 2 + 1)
    numbered = [(number, "plain") for number in range(len(shapes))] + [(n, kind) for kind in kinds for n in middle]
    for number, kind in numbered:
        choices = _scalars(operation, shapes[number])
        yield Case(shapes[number], choices[number % len(choices)], kind)


def _shapes(operation: Operation) -> Iterator[dict[str, int]]:
    letters = {letter for argument in operation.arguments for letter in argument.dims}
    if operation.family == Family.DENSE_FORWARD:
        yield from ({"b": m, "o": n, "i": k} for m, n, k in PRODUCTS)
    elif letters == {"m", "n", "k"}:
        yield from ({"m": m, "n": n, "k": k} for m, n, k in PRODUCTS)
    elif "v" in letters:
        several = (0, 2, 3, 4), (1, 1, 1, 1), (5, 1, 7, 16), (33, 3, 9, 17), (300, 2, 5, 40)
        yield from ({"b": b, "n": n, "v": v, "d": d, "e": n * d} for b, n, v, d in several)
    elif letters & {"o", "c"}:
        columns = "o" if "o" in letters else "c"
        yield from ({"b": b, columns: c, "t": 3 * c + 1} for b, c in GRIDS)
        if columns == "o":
            yield {"b": 5, columns: 0}
        if operation.family in (
            Family.BIAS_BACKWARD,
            Family.BATCH_MOMENTS,
            Family.SCALE_BACKWARD,
            Family.VECTOR_BACKWARD,
        ):
            yield from ({"b": 255 + b, columns: 18} for b in (0, 1, 2, 258))
    else:
        yield from (dict.fromkeys("bp", size) for size in VECTORS if "p" in letters or size < 300)


def _scalars(operation: Operation, sizes: dict[str, int]) -> list[tuple[float, ...]]:
    """Values for the scalars of a row."""
    name, family = operation.name, operation.family
    if family in (Family.LOSS_FORWARD, Family.LOSS_BACKWARD, Family.CROSSENTROPY_FORWARD, Family.CROSSENTROPY_BACKWARD):
        parameter = {"huber": 0.75, "lp": 2.3, "quantile": 0.3}.get(name.rpartition("_")[0], 0.0)
        smoothing = [(1.0, 0.0)] if name.startswith("sparse") else [(1.0, 0.0), (0.9, 0.05)]
        return [(parameter, *pair) for pair in smoothing]
    if family == Family.DROPOUT:
        return [(0.3, 7, 5, 2), (0.5, 2**40 + 3, 2**33, 0), (0.001, 0, 0, 65535)]
    if family == Family.UNIFORM:
        return [(7, 5, 2, 0), (2**40 + 3, 2**33, 65535, 1001)]
    values = {
        "unused": 0.0, "negative_slope": 0.3, "alpha": 0.7, "factor": -0.0123, "l1": 0.01, "two_l2": 0.02, "rate": 0.1,
        "momentum": 0.9, "one_minus_rho": 0.1, "adam_rate": 0.01, "one_minus_beta_1": 0.1, "one_minus_beta_2": 0.001,
        "corrected_rate": 0.02, "beta_2": 0.999, "rate_of_m": 0.011, "rate_of_g": 0.003, "correction_of_v": 200.0,
        "inverse_rate": 100.0, "two_shrinkage": 0.03, "power": 0.4,
        "epsilon": 1e-7 if family == Family.OPTIMIZER_STEP else 0.5 if name.endswith("floor") else 1e-3,
        "scale": 0.37, "offset": -1.3, "limit": 0.75, "value": -0.375,
        "inverse_b": 1 / max(1, sizes.get("b", 1)), "inverse_o": 1 / max(1, sizes.get("o", 1)),
    }  # fmt: skip
    return [tuple(values[scalar] for scalar in operation.scalars)]


def arrays(operation: Operation, case: Case, dtype: Any) -> dict[str, Array]:
    """The inputs, and what updated outputs hold before; the same in every run."""
    random = np.random.RandomState(zlib.crc32(f"{operation.name} {case}".encode()))
    result: dict[str, Array] = {}
    for argument in operation.arguments:
        if argument.output and not argument.updated:
            continue
        shape = tuple(case.sizes[letter] if letter != "1" else 1 for letter in argument.dims)
        kind = np.dtype(np.float64 if argument.total else dtype)
        values = np.asarray(_values(operation, argument, random, shape, case.sizes)).astype(kind)
        if case.values == "offset" and argument.name in ("Z", "mean"):
            values = (values + kind.type(1000)).astype(kind)
        places = argument.name == "y" and operation.name.startswith("embedding")  # in memory
        if case.values == "special" and not (argument.total or argument.name in ("v", "u") or places):
            values = _with_specials(random, values)
        result[argument.name] = values
    return result


def _values(
    operation: Operation,
    argument: Argument,
    random: np.random.RandomState,
    shape: tuple[int, ...],
    sizes: dict[str, int],
) -> Array:
    name = argument.name
    normal: Array = random.standard_normal(shape)
    probabilities: Array = np.asarray(1 / (1 + np.exp(-3 * normal)))
    if operation.name.startswith("rmsprop_centered") and argument.updated and name != "theta":
        return np.square(normal) + 0.5 if name == "m" else 0.1 * normal  # a variance is above 0
    squares = operation.name.startswith(("rmsprop", "adagrad", "adadelta", "ftrl")) and name == "m"
    if squares or name in ("var", "inv") or (name in ("v", "u") and not operation.name.startswith("ftrl")):
        return np.square(normal)
    if name == "y":
        return random.randint(0, sizes["v" if operation.name.startswith("embedding") else "c"], shape)
    if operation.family == Family.ACTIVATION_BACKWARD and name == "A":
        outputs: dict[str, Array] = {
            "sigmoid": probabilities,
            "tanh": np.tanh(normal),
            "relu": np.maximum(normal, 0),
            "relu6": np.clip(3 * normal, 0, 6),
            "hard_sigmoid": np.clip(normal + 0.5, 0, 1),
            "softsign": np.tanh(normal),
            "exponential": np.exp(normal),
            "erfinv": normal,
        }
        selu: Array = np.maximum(normal, np.expm1(normal)) * 1.0507
        return outputs.get(operation.name.removesuffix("_backward"), selu)
    if operation.family == Family.ROW_WISE_BACKWARD and name == "A":
        return np.asarray(-np.abs(normal) * 3)  # the only outputs that are saved are logarithms of probabilities
    base = operation.name.removesuffix("_forward").removesuffix("_backward")
    if name == "Z" and base == "erfinv":
        return np.asarray(np.tanh(normal))
    if name in ("A", "Z") and base in ("log", "log1p", "sqrt", "rsqrt"):
        return np.square(normal) + 0.01  # where they exist
    if operation.name.startswith("power") and name == "A":
        return np.square(normal) + 0.01 if "right" in operation.name else np.round(2 * normal) + 0.5
    if operation.name.startswith("power") and name == "B":
        return np.asarray(np.round(3 * normal))
    if operation.name.startswith(_ROUGH) and name in ("A", "B"):
        return np.asarray(np.round(2 * normal) / 2)  # some of both are equal
    if name == "P":
        e = np.exp(2 * normal)
        return np.asarray(e / e.sum(axis=1, keepdims=True))
    if operation.name.startswith("poisson") and name == "A":
        return np.asarray(np.exp(normal))  # its logarithm exists
    if operation.name.startswith(("hinge", "squared_hinge")) and name == "Y":
        return random.randint(-1, 2, shape)  # the labels -1 or 0, and 1
    if name in ("A", "Y") and operation.family != Family.ACTIVATION_BACKWARD:
        crossentropy = "crossentropy" in operation.name or "kl" in operation.name or "accuracy" in operation.name
        if name == "Y" and crossentropy:
            return np.where(random.random_sample(shape) < 0.5, probabilities, probabilities > 0.5)
        return probabilities if crossentropy and not operation.name.startswith("sigmoid") else normal
    return np.asarray(normal * 3) if name == "Z" else normal


def _with_specials(random: np.random.RandomState, values: Array) -> Array:
    """A quarter of the values replaced, in half of the rows."""
    limits = np.finfo(values.dtype)
    special = [
        *SPECIAL,
        limits.max,
        -limits.max,
        limits.tiny,
        limits.smallest_subnormal,
        -limits.smallest_subnormal,
        1e4,
        -1e4,
    ]
    hit = random.random_sample(values.shape) < 0.25
    if values.ndim == 2:
        hit &= (np.arange(values.shape[0]) % 2 == 0)[:, None]
    return np.where(hit, random.choice(special, values.shape), values).astype(values.dtype)


class Guarded:
    """An array whose buffer has guards before and after it and between its rows; `view` is the array.

    A vector over the batch has other elements between its own; the others are contiguous.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, spread: bool) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._gap = GUARD if len(shape) == 2 or spread else 0
        rows, width = self._grid()
        self.block = np.full((2 * GUARD + rows * (width + self._gap)) * self._dtype.itemsize, GUARD_BYTE, np.uint8)
        self.view = self._inner(self.block)

    def _grid(self) -> tuple[int, int]:
        return (self._shape[0], self._shape[1]) if len(self._shape) == 2 else (self._shape[0], 1)

    def _inner(self, block: Array) -> Array:
        rows, width = self._grid()
        stride = width + self._gap
        inner: Array = block.view(self._dtype)[GUARD : GUARD + rows * stride].reshape(rows, stride)[:, :width]
        return inner if len(self._shape) == 2 else inner[:, 0]

    def fill(self, values: Any) -> None:
        """Sets the array and remembers the whole buffer."""
        self.view[...] = values
        self.before = self.block.copy()

    def guards_intact(self) -> bool:
        """Whether nothing but the array has changed."""
        after, before = self.block.copy(), self.before.copy()
        self._inner(after)[...] = 0
        self._inner(before)[...] = 0
        return bool((after == before).all())

    def unchanged(self) -> bool:
        """Whether the whole buffer is as it was filled."""
        return bool((self.block == self.before).all())


def guarded(operation: Operation, case: Case, dtype: Any) -> dict[str, Guarded]:
    """The buffers of a call: outputs hold NaN."""
    values = arrays(operation, case, dtype)
    buffers: dict[str, Guarded] = {}
    for argument in operation.arguments:
        shape = tuple(case.sizes[letter] if letter != "1" else 1 for letter in argument.dims)
        buffers[argument.name] = Guarded(shape, np.float64 if argument.total else dtype, argument.dims == "b")
        buffers[argument.name].fill(values.get(argument.name, np.nan))
    return buffers
