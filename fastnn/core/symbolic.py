"""Symbolic tensors: what layers and functions give when they are called on tensors instead of arrays.

A call is a `Node`: its operator, the tensors that went in and those that came out. `engine/graph.py` makes graphs of
them. An operator is a layer, a model, or a function of `core/function_table.py`.
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import ArgumentError, ArgumentTypeError
from .binary import POWERS
from .function_table import Function as Function
from .function_table import Shape as Shape

_PACKAGE = Path(__file__).parents[1]


class Node:
    """One call of an operator. It is held by the tensors that it gives, and holds those that it reads.

    Attributes:
        losses: what a layer that composes others added to the loss, whose result this is.
    """

    def __init__(self, operator: Any, inputs: Sequence[Tensor], rows: Sequence[Shape], dtype: str) -> None:
        self.operator, self.inputs = operator, tuple(inputs)
        self.losses: tuple[Tensor, ...] = ()
        self._rows, self._dtype = tuple(tuple(row) for row in rows), dtype
        self._made: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What comes out: the same tensors as long as somebody holds them."""
        return tuple(
            self._made.setdefault(index, Tensor(row, self._dtype, self, index)) for index, row in enumerate(self._rows)
        )

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_made"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._made = weakref.WeakValueDictionary()


class Calls(Sequence[Node]):
    """The calls of an operator that somebody still holds: a model, or a tensor that they led to."""

    def __init__(self) -> None:
        self._references: list[weakref.ref[Node]] = []

    def _living(self) -> list[Node]:
        return [node for reference in self._references if (node := reference()) is not None]

    def append(self, node: Node) -> None:
        """Puts one behind the others."""
        self._references = [weakref.ref(one) for one in (*self._living(), node)]

    def remove(self, node: Node) -> None:
        """Forgets one."""
        self._references = [weakref.ref(one) for one in self._living() if one is not node]

    def __getitem__(self, index: Any) -> Any:
        return self._living()[index]

    def __len__(self) -> int:
        return len(self._living())

    def __getstate__(self) -> dict[str, object]:
        return {"nodes": self._living()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._references = [weakref.ref(node) for node in state["nodes"]]


class Operand:
    """What arithmetic and functions take for any number of rows: a tensor, or a layer's weight."""

    __array_priority__ = 1000.0  # array + tensor is the tensor's
    dtype: str

    @property
    def tensor(self) -> Tensor:
        """It as a tensor."""
        raise NotImplementedError

    def __add__(self, other: object) -> Any:
        return arithmetic("add", self, other)

    def __radd__(self, other: object) -> Any:
        return arithmetic("add", other, self)

    def __sub__(self, other: object) -> Any:
        return arithmetic("subtract", self, other)

    def __rsub__(self, other: object) -> Any:
        return arithmetic("subtract", other, self)

    def __mul__(self, other: object) -> Any:
        return arithmetic("multiply", self, other)

    def __rmul__(self, other: object) -> Any:
        return arithmetic("multiply", other, self)

    def __truediv__(self, other: object) -> Any:
        return arithmetic("divide", self, other)

    def __rtruediv__(self, other: object) -> Any:
        return arithmetic("divide", other, self)

    def __pow__(self, other: object) -> Any:
        return arithmetic("power", self, other)

    def __rpow__(self, other: object) -> Any:
        return arithmetic("power", other, self)

    def __abs__(self) -> Tensor:
        return call("abs", self)

    def __lt__(self, other: object) -> Any:
        return arithmetic("less", self, other)

    def __le__(self, other: object) -> Any:
        return arithmetic("less_equal", self, other)

    def __gt__(self, other: object) -> Any:
        return arithmetic("less", other, self)

    def __ge__(self, other: object) -> Any:
        return arithmetic("less_equal", other, self)

    def __eq__(self, other: object) -> Any:
        """With a number `ops.equal`, not a plain False; two tensors are equal if they are one."""
        return arithmetic("equal", self, other) if isinstance(other, Real) else self is other

    def __ne__(self, other: object) -> Any:
        """`ops.not_equal` with a number; else whether they are two."""
        return arithmetic("not_equal", self, other) if isinstance(other, Real) else self is not other

    __hash__ = object.__hash__

    def __neg__(self) -> Tensor:
        return call("scale", self, called="negative", scale=-1.0, offset=0.0)

    def __matmul__(self, other: object) -> Tensor:
        return product(self, other)

    def __iter__(self) -> NoReturn:
        raise ArgumentTypeError(f"{self!r} has no values to iterate over{_line()}; it stands for any number of rows")

    def __bool__(self) -> NoReturn:
        raise ArgumentTypeError(f"{self!r} has no values, so Python cannot decide by it{_line()}; use ops.where")

    def __float__(self) -> NoReturn:
        raise ArgumentTypeError(f"{self!r} has no values{_line()}; only data has")

    def __array__(self, *arguments: object, **options: object) -> NoReturn:
        raise ArgumentTypeError(
            f"{self!r} has no values{_line()}; NumPy cannot compute with it: use layers, fastnn.ops or arithmetic"
        )


class Tensor(Operand):
    """What comes out of a node for any number of rows.

    Attributes:
        row: the shape of one row. dtype: "float32" or "float64". node: what made it. index: which of the tensors of the
            node.
    """

    def __init__(self, row: Shape, dtype: str, node: Node, index: int) -> None:
        self.row, self.dtype, self.node, self.index = row, dtype, node, index

    @property
    def tensor(self) -> Tensor:
        """Itself."""
        return self

    @property
    def key(self) -> tuple[int, int]:
        """What is the same for tensors that are the same."""
        return id(self.node), self.index

    @property
    def shape(self) -> tuple[int | None, ...]:
        """(None, ...): that of an array with any number of rows."""
        return (None, *self.row)

    @property
    def ndim(self) -> int:
        """How many axes it has, that of the rows too."""
        return 1 + len(self.row)

    @property
    def name(self) -> str:
        """That of what made it."""
        return str(self.node.operator.name)

    @property
    def size(self) -> int:
        """The elements of one row."""
        return math.prod(self.row)

    def __repr__(self) -> str:
        return f"<symbolic tensor {self.name}, shape={self.shape}, dtype={self.dtype}>"

    def __getitem__(self, index: object) -> Tensor:
        start, stop, keepdims = _columns(self, index)
        if keepdims and (start, stop) == (0, self.row[-1]):
            return self
        return call(
            "columns", self, called="get_item", start=start, stop=stop, **({} if keepdims else {"keepdims": False})
        )


class Mean(Operand):
    """The mean over all rows of a tensor of one number a row, which `add_loss` takes: one number for the batch.

    Sums of them and multiples are means again; nothing else can be computed with it.
    """

    def __init__(self, rows: Tensor) -> None:
        self.rows, self.dtype, self.shape = rows, rows.dtype, ()

    def __repr__(self) -> str:
        return f"<symbolic mean over all rows of {self.rows!r}>"

    def __neg__(self) -> Any:
        return Mean(-self.rows)

    @property
    def tensor(self) -> Tensor:
        """It has none.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(
            f"{self!r} is one number for the batch{_line()}: it can be added to others, multiplied by numbers, and "
            "given to add_loss; compute with the rows first, then take the mean"
        )


def added_losses(where: str, loss: object) -> list[Tensor]:
    """The values of each row of what `add_loss` was given, whose means are added to the loss.

    Raises:
        ArgumentError: a tensor that is no mean. ArgumentTypeError: no tensor.
    """
    if isinstance(loss, list | tuple):
        return [tensor for one in loss for tensor in added_losses(where, one)]
    if isinstance(loss, Mean):
        return [loss.rows]
    if isinstance(loss, Operand):
        raise ArgumentError(
            f"{where}: {loss!r} has a value for each row, and their sum would depend on the batch; give its mean, "
            "ops.mean(...)"
        )
    raise ArgumentTypeError(f"{where}: expected the mean of a symbolic tensor, ops.mean(...), got {loss!r}")


def noise(row: Shape, dtype: str) -> Tensor:
    """Random numbers from -1 to 1, all alike, other ones in each step and each row."""
    made = Function("noise", row=list(row))
    return Node(made, [], made.rows_out([]), dtype).outputs[0]


def _line() -> str:
    """The line of a script that asked for values."""
    frame = sys._getframe(2)
    while frame.f_back is not None and Path(frame.f_code.co_filename).is_relative_to(_PACKAGE):
        frame = frame.f_back
    return f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})"


def call(function: str, *operands: Operand, called: str = "", **arguments: Any) -> Tensor:
    """What a function makes of tensors and weights; `called` is its name in a model, where Keras has another one.

    Raises:
        ArgumentError: shapes that do not fit.
    """
    tensors = [operand.tensor for operand in operands]
    made = Function(function, **arguments)
    made.name = called or function
    return Node(made, tensors, made.rows_out([tensor.row for tensor in tensors]), tensors[0].dtype).outputs[0]


def arithmetic(name: str, a: object, b: object) -> Any:
    """A function of `binary.BINARY` of two tensors, or of one and a number.

    Raises:
        ArgumentError: shapes that do not fit. ArgumentTypeError: neither tensors nor numbers.
    """
    if isinstance(a, Mean) or isinstance(b, Mean):
        return _of_means(name, a, b)
    if isinstance(a, Operand) and isinstance(b, Operand):
        return call(name, a, b)
    given, other = (a, b) if isinstance(a, Operand) else (b, a)
    assert isinstance(given, Operand)
    tensor, left = given.tensor, given is a
    if not isinstance(other, Real):
        raise ArgumentTypeError(f"{name}: expected a symbolic tensor or a number beside {tensor!r}, got {other!r}")
    try:
        number = float(other)
    except OverflowError:
        raise ArgumentError(f"{name}: the number beside {tensor!r} is too large for a float") from None
    if name == "add":
        return call("scale", tensor, called=name, scale=1.0, offset=number)
    if name == "subtract":
        sign, offset = (1.0, -number) if left else (-1.0, number)
        return call("scale", tensor, called=name, scale=sign, offset=offset)
    if name == "multiply":
        return call("scale", tensor, called=name, scale=number, offset=0.0)
    if name == "divide" and left and abs(math.frexp(number)[0]) == 0.5 and 1e-30 < abs(number) < 1e30:
        return call("scale", tensor, called=name, scale=1.0 / number, offset=0.0)  # a power of 2: exact
    if name == "power" and left and number in POWERS:
        return call(POWERS[number], tensor, called=name)
    filled = call("full", tensor, number=number)
    return call(name, tensor, filled) if left else call(name, filled, tensor)


def _of_means(name: str, a: Any, b: Any) -> Any:
    """A sum or a multiple."""
    if isinstance(a, Mean) and isinstance(b, Mean) and name in ("add", "subtract"):
        return Mean(arithmetic(name, a.rows, b.rows))
    mean, other = (a, b) if isinstance(a, Mean) else (b, a)
    if isinstance(other, Real) and (name in ("add", "subtract", "multiply") or (name == "divide" and mean is a)):
        return Mean(arithmetic(name, a.rows, other) if mean is a else arithmetic(name, other, b.rows))
    return mean.tensor


def product(x: object, weight: object) -> Tensor:
    """The matrix product of a tensor (B, K) and a weight (K, N).

    Raises:
        ArgumentError: shapes that do not fit. ArgumentTypeError: something else.
    """
    multiply = getattr(weight, "product", None)
    if not isinstance(x, Tensor) or multiply is None:
        told = [f"{type(one).__name__} {one.shape}" if isinstance(one, np.ndarray) else one for one in (x, weight)]
        raise ArgumentTypeError(
            f"matmul: {told[0]} and {told[1]}, expected a symbolic tensor and a matrix that add_weight made; the "
            "weights of another layer are shared by calling it"
        )
    made: Tensor = multiply(x)
    return made


_MODE: ContextVar[bool | None] = ContextVar("mode", default=None)


@contextmanager
def traced(training: bool) -> Iterator[None]:
    """What a `call` does inside is for this mode, and may differ in the other one."""
    token = _MODE.set(training)
    try:
        yield
    finally:
        _MODE.reset(token)


def asks_for(training: object) -> bool | None:
    """The mode that a call names, if it is to be that one whatever the model does."""
    return None if training is None or training == _MODE.get() else bool(training)


def any_tensor(x: object) -> bool:
    """Whether x is a symbolic tensor or a weight, or a list or a dict that has one."""
    if isinstance(x, list | tuple):
        return any(any_tensor(entry) for entry in x)
    return any(any_tensor(entry) for entry in x.values()) if isinstance(x, dict) else isinstance(x, Operand)


def _columns(tensor: Tensor, index: object) -> tuple[int, int, bool]:
    """[start, stop) of an index of the last axis, and whether that stays: one number takes a column without it."""
    given = index if isinstance(index, tuple) else (index,)
    text = f"{tensor!r}: the index {index!r} is not supported; take columns of the last axis, such as x[:, 2:5]"
    axes = tensor.ndim
    if (at := next((at for at, part in enumerate(given) if part is Ellipsis), None)) is not None:
        given = (*given[:at], *[slice(None)] * (axes - len(given) + 1), *given[at + 1 :])
    whole = given[: axes - 1]
    if len(given) > axes or any(not isinstance(part, slice) or part != slice(None) for part in whole):
        raise ArgumentError(text)
    if len(given) < axes:
        return 0, tensor.row[-1], True
    last = given[-1]
    if not isinstance(last, bool) and isinstance(last, Integral) and len(tensor.row) == 1:
        number = int(last)
        if not -tensor.row[0] <= number < tensor.row[0]:
            raise ArgumentError(f"{tensor!r}: the index {index!r} is out of range, it has {tensor.row[0]} columns")
        return number % tensor.row[0], number % tensor.row[0] + 1, False
    if not isinstance(last, slice) or last.step not in (None, 1) or len(tensor.row) != 1:
        raise ArgumentError(text)
    if any(part is not None and not hasattr(part, "__index__") for part in (last.start, last.stop)):
        raise ArgumentError(text)
    start, stop, _ = last.indices(tensor.row[-1])
    if stop <= start:
        raise ArgumentError(f"{tensor!r}: the index {index!r} leaves no columns")
    return start, stop, True
