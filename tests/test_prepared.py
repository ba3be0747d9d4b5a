"""A prepared operation does what a direct call does, again and again, for as long as it lives."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from cases import Case, Guarded, cases, guarded
from fastnn.core.operations import OPERATIONS, Family, Operation
from support import DTYPES, RUNNERS, Array, Runner, assert_same_bits, load, present, runner_name, threads

GEMMS = [name for name, row in OPERATIONS.items() if row.family <= Family.DENSE_FORWARD]


def views(operation: Operation, buffers: dict[str, Guarded]) -> list[Array]:
    return [buffers[argument.name].view for argument in operation.arguments]


def sample(operation: Operation) -> list[Case]:
    """Some of an operation's cases, the empty and the last ones among them."""
    found = list(cases(operation))
    return [*found[:3], *found[3::6], *found[-2:]]


# One operation of each family and number of arguments: calls of the others differ in a code.
KINDS = {(row.family, len(row.arguments), len(row.scalars)): name for name, row in OPERATIONS.items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS.values())
def test_prepared_calls_have_the_bits_of_direct_ones(name: str, dtype: str) -> None:
    """Twice, from inputs that cannot be written, over rows with gaps between them. The number of threads follows the
    dtype: what is prepared depends on neither."""
    operation = OPERATIONS[name]
    number = 1 + DTYPES.index(dtype)
    for runner in present([runner for runner in RUNNERS if runner[1] == number or runner[0] == "reference"]):
        with threads(runner):
            check(operation, dtype, runner)


def check(operation: Operation, dtype: str, runner: Runner) -> None:
    operator = load(runner[0]).operations(dtype)[operation.name]
    for case in sample(operation)[: 3 if runner[0] == "reference" else None]:
        where = f"{runner_name(runner)} {operation.name} {dtype} {case}"
        direct, prepared = guarded(operation, case, dtype), guarded(operation, case, dtype)
        for argument in operation.arguments:
            if not argument.output:
                direct[argument.name].view.flags.writeable = prepared[argument.name].view.flags.writeable = False
        again = operator.prepare(*views(operation, prepared), *case.scalars)
        for turn in ("first", "second"):
            operator(*views(operation, direct), *case.scalars)
            assert not again(), where
            for argument in operation.arguments:
                assert prepared[argument.name].guards_intact(), f"{where}: wrote outside {argument.name}"
                got, expected = prepared[argument.name].view, direct[argument.name].view
                assert_same_bits(got, expected, f"{where}: {argument.name}, {turn} call")


@pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
def test_what_is_in_the_arrays_is_read_at_each_call(runner: Runner) -> None:
    A, B, C = (np.full((3, 3), value, np.float32) for value in (1.0, 2.0, 0.0))
    again = load(runner[0]).operations("float32")["gemm_nn"].prepare(C, A, B)
    for value in (1.0, 5.0):
        A[:] = value
        again()
        np.testing.assert_array_equal(C, np.full_like(C, 6 * value))


@pytest.mark.parametrize("name", ["gemm_nt", "relu_forward", "weighted_sum"])
@pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
def test_a_prepared_call_keeps_its_arrays(runner: Runner, name: str) -> None:
    """And nothing else does: they go with it."""
    operation, operator = OPERATIONS[name], load(runner[0]).operations("float64")[name]
    gc.freeze()  # what is there already need not be looked at
    case = next(case for case in cases(operation) if case.sizes.get("k", 33) == 33 and case.sizes.get("b", 33) == 33)
    buffers, kept = guarded(operation, case, "float64"), guarded(operation, case, "float64")
    operator(*views(operation, buffers), *case.scalars)
    again = operator.prepare(*views(operation, kept), *case.scalars)
    seen = kept[operation.arguments[0].name].view
    blocks = [weakref.ref(buffer.block) for buffer in kept.values()]
    del kept
    gc.collect()
    rubbish = [np.full(buffer.block.size, 0xFF, np.uint8) for buffer in buffers.values()]
    assert all(block() is not None for block in blocks)
    again()
    assert_same_bits(seen, buffers[operation.arguments[0].name].view, name)
    del again, seen, rubbish
    gc.collect()
    gc.unfreeze()
    assert all(block() is None for block in blocks)


@pytest.mark.parametrize("name", GEMMS)
@pytest.mark.parametrize("runner", RUNNERS[1:], indirect=True, ids=runner_name)
def test_prepared_and_direct_calls_side_by_side(runner: Runner, name: str) -> None:
    """In threads, each on a scratch of its own: matrices so large that they are packed."""
    operation, operator = OPERATIONS[name], load(runner[0]).operations("float32")[name]
    largest = max(cases(operation), key=lambda case: operation.flops(case.sizes))
    buffers = [guarded(operation, largest, "float32") for _ in range(4)]
    for number, of_call in enumerate(buffers):
        of_call["A" if "A" in of_call else "X"].view[:] *= number + 1
    expected = []
    for of_call in buffers:
        operator(*views(operation, of_call))
        expected.append(views(operation, of_call)[0].copy())
        views(operation, of_call)[0][:] = np.nan
    calls = [operator.prepare(*views(operation, of_call)) for of_call in buffers[:2]]
    calls += [partial(operator, *views(operation, of_call)) for of_call in buffers[2:]]

    def repeated(number: int) -> None:
        for _ in range(20):
            calls[number]()
            assert_same_bits(views(operation, buffers[number])[0], expected[number], f"{name} {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repeated, range(4)))
