"""Every operation on the card, a real one or the emulated one: the reference's bits, on small shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

from cases import Case, Guarded, cases, guarded
from fastnn.backends.arguments import IN_PLACE
from fastnn.backends.cuda.table import specs
from fastnn.core.operations import OPERATIONS, Family, Operation
from support import DTYPES, assert_same_bits, load

MOST = 60_000  # products of a case: what the emulated card does in a moment


def small(operation: Operation) -> Iterator[Case]:
    """The cases that are small, and every other one of those that are many."""
    found = [case for case in cases(operation) if math.prod(case.sizes.values()) <= MOST]
    plain = [case for case in found if case.values == "plain"]
    yield from plain[:: 2 if len(plain) > 12 else 1]
    yield from (case for case in found if case.values != "plain")


def call(backend: str, operation: Operation, buffers: Mapping[str, Guarded], case: Case, dtype: str) -> None:
    arrays = (buffers[argument.name].view for argument in operation.arguments)
    load(backend).operations(dtype)[operation.name](*arrays, *case.scalars)


def test_no_operation_is_missing() -> None:
    assert list(specs()) == list(OPERATIONS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str, dtype: str) -> None:
    """Beside each other, and in place where that is allowed."""
    operation = OPERATIONS[name]
    for number, case in enumerate(small(operation)):
        expected, got = guarded(operation, case, dtype), guarded(operation, case, dtype)
        call("reference", operation, expected, case, dtype)
        call("cuda", operation, got, case, dtype)
        check(operation, got, expected, f"{name} {dtype} {case}")
        target, source = operation.arguments[0].name, operation.arguments[min(1, len(operation.arguments) - 1)].name
        if operation.family in IN_PLACE and number % 4 == 1:
            over = guarded(operation, case, dtype)
            over[target] = over[source]
            call("cuda", operation, over, case, dtype)
            assert_same_bits(over[target].view, expected[target].view, f"{name} {dtype} {case} in place")


def check(operation: Operation, got: Mapping[str, Guarded], expected: Mapping[str, Guarded], where: str) -> None:
    for argument in operation.arguments:
        buffer = got[argument.name]
        assert buffer.guards_intact(), f"{where}: wrote outside {argument.name}"
        if argument.output:
            assert_same_bits(buffer.view, expected[argument.name].view, f"{where}: {argument.name}")
        else:
            assert buffer.unchanged(), f"{where}: changed {argument.name}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_several_chunks(dtype: str) -> None:
    """K beyond a chunk, and M and N at the edges of tiles."""
    shapes = ((3, 5, 256), (5, 3, 257), (2, 17, 513), (7, 13, 255), (130, 133, 20))
    for name in ("gemm_nn", "gemm_tn", "gemm_nt", "dense_forward"):
        operation = OPERATIONS[name]
        letters = "boi" if operation.family == Family.DENSE_FORWARD else "mnk"
        for sizes in shapes:
            case = Case(dict(zip(letters, sizes, strict=True)), (), "plain")
            expected, got = guarded(operation, case, dtype), guarded(operation, case, dtype)
            call("reference", operation, expected, case, dtype)
            call("cuda", operation, got, case, dtype)
            check(operation, got, expected, f"{name} {dtype} {case}")
