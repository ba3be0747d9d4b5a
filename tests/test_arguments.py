"""Operations refuse what their kernels would read or write elsewhere for, by its name, and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastnn.backends.arguments import IN_PLACE, WHOLE_SCALARS
from fastnn.core.operations import OPERATIONS, Argument, Family, Operation
from fastnn.errors import ArgumentError, ArgumentTypeError
from support import Array, load

BACKENDS = ("reference", "numba", "c")
# One operation of each family and number of arguments: the others differ in a code.
KINDS = {(row.family, len(row.arguments), len(row.scalars)): row for row in OPERATIONS.values()}
SIZES = {letter: number for number, letter in enumerate("boicpmnkvd", 3)} | {"1": 1}
SIZES |= {"t": 3 * SIZES["c"] + 1, "e": SIZES["n"] * SIZES["d"]}


def shape(spec: Argument, **other: int) -> tuple[int, ...]:
    return tuple((SIZES | other)[letter] for letter in spec.dims)


def dtype(spec: Argument) -> str:
    return "float64" if spec.total else "float32"


def given(operation: Operation) -> list[Any]:
    """Right arguments: ones are class numbers, too."""
    scalars = tuple(1 if name in WHOLE_SCALARS else 0.5 for name in operation.scalars)
    return [*(np.ones(shape(spec), dtype(spec)) for spec in operation.arguments), *scalars]


Wrong = tuple[int, Any, type[Exception], str]  # the place of an argument, what is wrong there, and what is said of it


def wrong_array(operation: Operation, number: int) -> Iterator[Wrong]:
    spec, right = operation.arguments[number], given(operation)[number]
    kind, name = dtype(spec), spec.name
    other = "float32" if spec.total else "float64"
    for swapped in (other, np.dtype(kind).newbyteorder(">"), "int32", "complex64", "O"):
        yield number, right.astype(swapped), ArgumentTypeError, f"{name} has dtype"
    masked: Any = np.ma.masked_array(right)
    for no_array in (right.tolist(), memoryview(right), None, 3.0, masked, right[(0,) * right.ndim]):
        yield number, no_array, ArgumentTypeError, f"{name} is a"
    for shaped in (right[None], right[..., None], right[(0,) * right.ndim + (...,)]):
        yield number, shaped, ArgumentError, f"{name} has shape"
    shared = "1te" + "".join(other.dims for other in operation.arguments if other is not spec)
    for letter, strange in ((spec.dims[0], right[:-1]), (spec.dims[-1], right[..., :-1])):
        if letter in shared:  # else it says what the size is
            yield number, strange, ArgumentError, ""
    unaligned = np.zeros(right.nbytes + 1, np.uint8)[1:].view(kind).reshape(right.shape)
    yield number, unaligned, ArgumentError, f"{name} does not lie"
    if right.size > 1:
        yield number, strided(right, (0,) * right.ndim), ArgumentError, f"{name} has strides"
        yield number, right[::-1], ArgumentError, f"{name} has strides"
        if spec.dims != "b":
            yield number, np.repeat(right, 2, -1)[..., ::2], ArgumentError, f"{name} has strides"
    if right.ndim == 2:
        yield number, np.asfortranarray(right), ArgumentError, f"{name} has strides"
        yield number, strided(right, (right.itemsize, right.itemsize)), ArgumentError, f"{name} has strides"
    if spec.output:
        locked = right.copy()
        locked.flags.writeable = False
        yield number, locked, ArgumentError, f"{name} is read-only"


def strided(array: Array, strides: tuple[int, ...]) -> Array:
    return np.lib.stride_tricks.as_strided(array, strides=strides)


def contents(arguments: list[Any]) -> list[bytes]:
    return [one.tobytes() for one in arguments if isinstance(one, np.ndarray)]


def refused(backend: str, operation: Operation, arguments: list[Any], error: type[Exception], text: str) -> None:
    operator = load(backend).operations("float32")[operation.name]
    before = contents(arguments)
    for call in (operator, operator.prepare):
        with pytest.raises(error) as caught:
            call(*arguments)
        assert type(caught.value) is error
        assert str(caught.value).startswith(f"{operation.name}: {text}"), caught.value
    assert contents(arguments) == before


@pytest.mark.filterwarnings("ignore:Casting complex")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("operation", KINDS.values(), ids=lambda operation: operation.name)
def test_what_does_not_fit_is_refused(operation: Operation, backend: str) -> None:
    load(backend).operations("float32")[operation.name](*given(operation))
    for number in range(len(operation.arguments)):
        for place, value, error, text in wrong_array(operation, number):
            arguments = given(operation)
            arguments[place] = value
            refused(backend, operation, arguments, error, text)
    for number, name in enumerate(operation.scalars, len(operation.arguments)):
        for scalar in ("1", None, 1j, [1.0], np.ones(1)):
            refused(backend, operation, [*given(operation)[:number], scalar, *given(operation)[number + 1 :]],
                    ArgumentTypeError, f"{name} is")  # fmt: skip
        huge = [*given(operation)[:number], 10**400, *given(operation)[number + 1 :]]
        refused(backend, operation, huge, ArgumentError, f"{name} is")
    count = len(given(operation))
    for some in ([*given(operation), 1.0], given(operation)[:-1]):
        refused(backend, operation, some, ArgumentTypeError, f"{len(some)} arguments were given, expected {count}: ")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("operation", KINDS.values(), ids=lambda operation: operation.name)
def test_outputs_lie_apart(operation: Operation, backend: str) -> None:
    """From inputs and from each other, in part or as a whole, except where the table of `IN_PLACE` says so."""
    specs = operation.arguments
    for number, output in enumerate(specs):
        for other in range(number + 1, len(specs) if output.output else 0):
            if output.total != specs[other].total:
                continue
            both = np.ones(500, dtype(output))
            for start in (0, 1):
                arguments = given(operation)
                for place, first in ((number, 0), (other, start)):
                    wanted = shape(specs[place])
                    arguments[place] = both[first : first + int(np.prod(wanted))].reshape(wanted)
                whole = start == 0 and number == 0 and operation.family in IN_PLACE
                if whole and other in (1, 2)[: 2 if operation.family == Family.BINARY else 1]:
                    load(backend).operations("float32")[operation.name](*arguments)
                else:
                    refused(backend, operation, arguments, ArgumentError, f"{output.name} shares memory with")


@pytest.mark.parametrize("backend", BACKENDS)
def test_columns_of_one_matrix_lie_apart(backend: str) -> None:
    both = np.arange(40, dtype=np.float32).reshape(4, 10)
    load(backend).operations("float32")["copy"](both[:, 5:], both[:, :5])
    np.testing.assert_array_equal(both[:, 5:], both[:, :5])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["embedding_forward", "embedding_backward"])
def test_class_numbers_are_rows_of_the_table(name: str, backend: str) -> None:
    """Also those that come after a call was prepared."""
    operation = OPERATIONS[name]
    places = [spec.name for spec in operation.arguments].index("y")
    arguments = given(operation)
    again = load(backend).operations("float32")[name].prepare(*arguments)
    again()
    for value in (SIZES["v"], -1, np.nan, np.inf, 1e30):
        arguments[places][2, 1] = value
        with pytest.raises(ArgumentError, match=f"{name}: y holds .*, expected class numbers from 0 to 10"):
            again()
        refused(backend, operation, arguments, ArgumentError, "y holds")
        arguments[places][2, 1] = 10
    again()
    empty = [np.ones(shape(spec, d=0, e=0), np.float32) for spec in operation.arguments]
    with pytest.raises(ArgumentError, match=r"W has shape \(.*, 0\), expected columns"):
        load(backend).operations("float32")[name](*empty)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_nothing_can_be_computed_of(backend: str) -> None:
    """A mean over no classes, and a dropout that keeps nothing."""
    table = load(backend).operations("float32")
    l, none, A = np.ones(3, np.float32), np.ones((3, 0), np.float32), np.ones((3, 2), np.float32)  # noqa: E741
    with pytest.raises(ArgumentError, match=r"mean_squared_error_forward: A has shape \(3, 0\), expected columns"):
        table["mean_squared_error_forward"](l, none, none, 0.0, 1.0, 0.0)
    for rate in (1.0, -0.1, np.nan, 2):
        with pytest.raises(
            ArgumentError, match=f"dropout: rate is {rate}, expected a number of at least 0 and below 1"
        ):
            table["dropout"](A, np.ones_like(A), rate, 1, 1, 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["int32", "float16", "f", None, 3])
def test_there_are_two_dtypes(name: Any, backend: str) -> None:
    with pytest.raises(ArgumentError, match="operations: dtype is"):
        load(backend).operations(name)


def test_messages() -> None:
    operator = load("reference").operations("float32")
    A, B, C = (np.zeros(shape, np.float32) for shape in ((2, 3), (4, 5), (2, 5)))
    with pytest.raises(ArgumentError) as caught:
        operator["gemm_nn"](C, A, B)
    assert str(caught.value) == "gemm_nn: B has shape (4, 5), expected (3, 5): A has k = 3, C has n = 5"
    with pytest.raises(ArgumentError) as caught:
        operator["embedding_forward"](C, A, B)
    assert str(caught.value) == "embedding_forward: A has e = 5, expected n d = 15 with n = 3, d = 5"
