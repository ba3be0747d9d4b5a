"""Every operation: the reference lies within its row's bound of the exact value, the other backends have its bits.

One test for each operation and dtype, since all backends are held against the same results of the reference."""

from __future__ import annotations

import ctypes
import functools
import math
import platform
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from cases import Case, Guarded, cases, guarded
from exact import exact
from fastnn.backends.arguments import IN_PLACE
from fastnn.core.operations import OPERATIONS, Family, Operation
from support import DTYPES, RUNNERS, Array, Runner, assert_same_bits, load, present, runner_name, threads

Operations = Mapping[str, Callable[..., None]]


@functools.cache
def operations(runner: Runner, dtype: str) -> Operations:
    return load(runner[0]).operations(dtype)


def call(table: Operations, operation: Operation, buffers: Mapping[str, Guarded], scalars: tuple[float, ...]) -> None:
    table[operation.name](*(buffers[argument.name].view for argument in operation.arguments), *scalars)


def outputs(operation: Operation, buffers: Mapping[str, Guarded]) -> dict[str, Array]:
    return {argument.name: buffers[argument.name].view for argument in operation.arguments if argument.output}


def check_buffers(operation: Operation, buffers: Mapping[str, Guarded], where: str) -> None:
    for argument in operation.arguments:
        buffer = buffers[argument.name]
        assert buffer.guards_intact(), f"{where}: wrote outside {argument.name}"
        assert argument.output or buffer.unchanged(), f"{where}: changed its input {argument.name}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
def test_no_twin_is_missing(runner: Runner, dtype: str) -> None:
    assert set(operations(runner, dtype)) == set(OPERATIONS)


Results = list[tuple[Case, dict[str, Array]]]


def results_of_the_reference(operation: Operation, dtype: str) -> Results:
    """The cases of an operation with the reference's results, which are right; guards and inputs untouched."""
    table, results = operations(RUNNERS[0], dtype), []
    for case in cases(operation):
        where = f"{operation.name} {dtype} {case}"
        buffers = guarded(operation, case, dtype)
        before = {key: buffer.view.copy() for key, buffer in buffers.items()}
        call(table, operation, buffers, case.scalars)
        check_buffers(operation, buffers, where)
        got = outputs(operation, buffers)
        if case.values != "special":
            check_bound(operation, got, exact(operation, before, case.scalars, dtype), dtype, where)
        results.append((case, {key: value.copy() for key, value in got.items()}))
    return results


def check_bound(
    operation: Operation, got: dict[str, Array], expected: dict[str, tuple[Array, Array]], dtype: str, where: str
) -> None:
    """An absolute error of a few least normal numbers is allowed beside the bound: below them results may become 0."""
    for name, value in got.items():
        right, scale = expected[name]
        limits = np.finfo(value.dtype)
        error = np.abs(value.astype(right.dtype) - right)
        allowed = operation.bound * limits.eps * scale + (16 * limits.tiny if operation.bound else 0)
        assert (error <= allowed).all(), f"{where}: {name} is off by {worst(error, scale, limits.eps)} eps of its scale"


def worst(error: Array, scale: Array, eps: float) -> float:
    """The greatest error in units of eps times scale; NaN where a result is."""
    with np.errstate(all="ignore"):
        return float(np.max(np.where(error == 0, 0, error / (eps * scale)), initial=0.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str, dtype: str) -> None:
    """The reference is right, and every twin has its bits; in place, too, where that is allowed."""
    operation = OPERATIONS[name]
    results = results_of_the_reference(operation, dtype)
    for runner in present(RUNNERS):
        with threads(runner):
            if runner[0] != "reference":
                check_twin(operation, dtype, runner, results)
            if operation.family in IN_PLACE:
                check_in_place(operation, dtype, runner, results)


def check_twin(operation: Operation, dtype: str, runner: Runner, results: Results) -> None:
    table = operations(runner, dtype)
    for case, expected in results:
        where = f"{runner_name(runner)} {operation.name} {dtype} {case}"
        buffers = guarded(operation, case, dtype)
        call(table, operation, buffers, case.scalars)
        check_buffers(operation, buffers, where)
        for key, value in outputs(operation, buffers).items():
            assert_same_bits(value, expected[key], f"{where}: {key}")


def check_in_place(operation: Operation, dtype: str, runner: Runner, results: Results) -> None:
    """The output may be the first input, and that of a sum of gradients the second."""
    table = operations(runner, dtype)
    target, *sources = operation.arguments
    for source in sources if operation.family == Family.BINARY else sources[:1]:
        for case, expected in results[1::5]:
            buffers = guarded(operation, case, dtype)
            buffers[target.name] = buffers[source.name]
            call(table, operation, buffers, case.scalars)
            where = f"{runner_name(runner)} {operation.name} {dtype} {case} over {source.name}"
            assert buffers[target.name].guards_intact(), where
            assert_same_bits(buffers[target.name].view, expected[target.name], where)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
class TestEnds:
    """Values at the ends of the range."""

    def test_huge_logits(self, runner: Runner, dtype: str) -> None:
        """Logits of +-1e4 give the loss that they should, and finite gradients."""
        table = operations(runner, dtype)
        Z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4], [0.0, 0.0, 0.0]], dtype)
        Y = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype)
        y, s = np.array([0, 1, 2], dtype), np.ones(3, dtype)
        for name, target in (("softmax_crossentropy", Y), ("sparse_softmax_crossentropy", y)):
            l, P, dZ = np.full(3, np.nan, dtype), np.full((3, 3), np.nan, dtype), np.full((3, 3), np.nan, dtype)  # noqa: E741
            table[f"{name}_forward"](l, P, Z, target, 0.0, 1.0, 0.0)
            table[f"{name}_backward"](dZ, P, target, s, 0.0, 1.0, 0.0)
            np.testing.assert_allclose(l, [0.0, 2e4, math.log(3.0)], rtol=1e-6)
            np.testing.assert_allclose(dZ, P - Y, rtol=1e-6)
            np.testing.assert_allclose(3 * P, [[3, 0, 0], [0, 0, 3], [1, 1, 1]], rtol=1e-6)
        l, dZ = np.full(3, np.nan, dtype), np.full((3, 3), np.nan, dtype)  # noqa: E741
        table["sigmoid_crossentropy_forward"](l, Z, Y, 0.0, 1.0, 0.0)
        table["sigmoid_crossentropy_backward"](dZ, Z, Y, s, 0.0, 1.0, 0.0)
        np.testing.assert_allclose(l, [math.log(2.0) / 3, 2e4 / 3, math.log(2.0)], rtol=1e-6)
        np.testing.assert_allclose(2 * dZ, [[0, 0, 1], [0, -2, 2], [1, 1, -1]], rtol=1e-6)

    def test_nan_stays_in_its_row(self, runner: Runner, dtype: str) -> None:
        table = operations(runner, dtype)
        Z = np.linspace(-2, 2, 60).reshape(3, 20).astype(dtype)
        hurt = Z.copy()
        hurt[1, 7] = np.nan
        for name in [
            name
            for name, row in OPERATIONS.items()
            if row.family in (Family.ACTIVATION_FORWARD, Family.SOFTMAX_FORWARD)
        ]:
            scalars = (0.3,) * len(OPERATIONS[name].scalars)
            clean, got = np.empty_like(Z), np.empty_like(Z)
            table[name](clean, Z, *scalars)
            table[name](got, hurt, *scalars)
            assert np.isnan(got[1, 7]), name
            assert_same_bits(got[::2], clean[::2], name)

    def test_nan_stays_in_its_row_or_column(self, runner: Runner, dtype: str) -> None:
        """Rows are normalized apart from each other, and columns of a batch are."""
        table = operations(runner, dtype)
        Z = np.linspace(-2, 2, 60).reshape(3, 20).astype(dtype)
        hurt = Z.copy()
        hurt[1, 7] = np.nan
        found: list[list[Array]] = []
        for values in (Z, hurt):
            A, N, inv = np.empty_like(Z), np.empty_like(Z), np.empty(3, dtype)
            mean, variance = np.empty(20, dtype), np.empty(20, dtype)
            table["layer_norm_forward"](A, N, inv, values, np.ones(20, dtype), np.zeros(20, dtype), 1e-3, 1 / 20)
            table["batch_moments"](mean, variance, values, 1 / 3)
            found.append([A, N, inv, mean, variance])
        for clean, got in zip(found[0][:3], found[1][:3], strict=True):
            assert np.isnan(got[1]).all()
            assert_same_bits(got[::2], clean[::2], "rows")
        for clean, got in zip(found[0][3:], found[1][3:], strict=True):
            assert np.flatnonzero(np.isnan(got)).tolist() == [7]
            assert_same_bits(np.delete(got, 7), np.delete(clean, 7), "columns")

    def test_variance_far_from_zero(self, runner: Runner, dtype: str) -> None:
        """A mean of 2 / sqrt(eps) beside deviations of 1, where mean(z^2) - mean^2 has no digit left."""
        table = operations(runner, dtype)
        offset = np.float64(2.0 ** (12 if dtype == "float32" else 27))
        Z = (offset + np.where(np.arange(300)[:, None] % 2, 1.0, -1.0)).astype(dtype)
        mean, variance = np.empty(1, dtype), np.empty(1, dtype)
        table["batch_moments"](mean, variance, Z, 1 / 300)
        np.testing.assert_allclose(variance, [1.0], rtol=1e-5)
        rows = np.ascontiguousarray(Z.T)
        A, N, inv = np.empty_like(rows), np.empty_like(rows), np.empty(1, dtype)
        table["layer_norm_forward"](A, N, inv, rows, np.ones(300, dtype), np.zeros(300, dtype), 0.0, 1 / 300)
        np.testing.assert_allclose(inv, [1.0], rtol=1e-5)
        np.testing.assert_allclose(A, rows - offset, atol=1e-2)

    def test_nan_on_either_side(self, runner: Runner, dtype: str) -> None:
        """The maximum and the minimum of NaN and a number are NaN, which has no gradient and gives none."""
        table, nan = operations(runner, dtype), np.nan
        A = np.array([[nan, 1.0, nan, np.inf, -np.inf, 2.0]], dtype)
        B = np.array([[1.0, nan, nan, -np.inf, np.inf, 2.0]], dtype)
        d, C = np.full_like(A, 4.0), np.empty_like(A)
        for name, forward, left, right in (
            ("maximum", [nan, nan, nan, np.inf, np.inf, 2], [0, 0, 0, 4, 0, 2], [0, 0, 0, 0, 4, 2]),
            ("minimum", [nan, nan, nan, -np.inf, -np.inf, 2], [0, 0, 0, 0, 4, 2], [0, 0, 0, 4, 0, 2]),
        ):
            table[name](C, A, B)
            np.testing.assert_array_equal(C, [forward])
            for side, expected in (("left", left), ("right", right)):
                table[f"{name}_{side}_backward"](C, d, A, B)
                np.testing.assert_array_equal(C, [expected])

    def test_division_by_zero(self, runner: Runner, dtype: str) -> None:
        table, inf, nan = operations(runner, dtype), np.inf, np.nan
        A, B = np.array([[1, -1, 1, 0, inf, 1]], dtype), np.array([[0.0, 0.0, -0.0, 0.0, 0.0, inf]], dtype)
        d, C = np.full_like(A, 2.0), np.empty_like(A)
        with np.errstate(all="ignore"):
            for name, arrays, expected in (
                ("divide", (A, B), [inf, -inf, -inf, nan, inf, 0]),
                ("divide_left_backward", (d, A, B), [inf, inf, -inf, inf, inf, 0]),
                ("divide_right_backward", (d, A, B), [-inf, inf, -inf, nan, -inf, 0]),
            ):
                table[name](C, *arrays)
                np.testing.assert_array_equal(C, [expected])

    def test_a_value_is_rounded_once(self, runner: Runner, dtype: str) -> None:
        """And everywhere; signs of zeros stay, too."""
        table = operations(runner, dtype)
        for value in (0.1, -0.0, np.nan, -np.inf, np.finfo(dtype).smallest_subnormal):
            A, s = np.empty((3, 17), dtype), np.full(3, value, dtype)
            for name, arguments in (("fill", (value,)), ("repeat", (s,)), ("copy", (np.full_like(A, value),))):
                A[:] = 1.0
                table[name](A, *arguments)
                assert_same_bits(A, np.full((3, 17), value, dtype), f"{name} {value}")

    def test_rows_are_summed_in_16_lanes(self, runner: Runner, dtype: str) -> None:
        """1 is lost beside 2 / eps in its own lane, and kept by another one until the lanes are folded."""
        large, Z, s = 2.0 / np.finfo(dtype).eps, np.zeros((3, 49), dtype), np.empty(3, dtype)
        Z[:, 1] = large
        Z[0, [17, 33]], Z[1, [18, 34]], Z[2, [1, 17, 33]] = 1.0, 1.0, np.nan
        operations(runner, dtype)["row_sum"](s, Z)
        np.testing.assert_array_equal(s, np.array([large, large + 2.0, np.nan], dtype))
        table, none = operations(runner, dtype), np.empty((3, 0), dtype)
        table["row_sum"](s, none)
        assert_same_bits(s, np.zeros(3, dtype), "no columns")

    def test_gradients_that_are_not_finite(self, runner: Runner, dtype: str) -> None:
        """Clipping limits infinities and keeps NaN."""
        g = np.array([np.nan, np.inf, -np.inf, 0.5, -3.0], dtype)
        operations(runner, dtype)["clip_value"](g, 2.0)
        np.testing.assert_array_equal(g, np.array([np.nan, 2.0, -2.0, 0.5, -2.0], dtype))

    def test_empty_sums_are_plus_zero(self, runner: Runner, dtype: str) -> None:
        table = operations(runner, dtype)
        C = np.full((2, 3), np.nan, dtype)
        table["gemm_nn"](C, np.empty((2, 0), dtype), np.empty((0, 3), dtype))
        assert_same_bits(C, np.zeros((2, 3), dtype), "K = 0")
        db = np.full(3, np.nan, dtype)
        table["bias_backward"](db, np.empty((0, 3), dtype))
        assert_same_bits(db, np.zeros(3, dtype), "B = 0")

    @pytest.mark.skipif(
        platform.system() != "Linux" or platform.machine() != "x86_64",
        reason="knows the layout of fenv_t of glibc x86-64 only",
    )
    def test_denormals_are_kept_whatever_the_caller_set(self, runner: Runner, dtype: str) -> None:
        """Flush-to-zero, denormals-are-zero and rounding upward in the caller change nothing and are there after; of so
        many rows that a team takes them."""
        table = operations(runner, dtype)
        small = np.full((40, 3), 64 * np.finfo(dtype).smallest_subnormal, dtype)
        Z, s, C = np.empty_like(small), np.empty(40, dtype), np.empty((40, 40), dtype)
        halves = np.full((3, 40), 0.5, dtype)
        libm = ctypes.CDLL("libm.so.6")
        saved, unusual = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
        libm.fegetenv(saved)
        control = int.from_bytes(saved.raw[28:32], "little") | 0x8040 | 0x4000
        libm.fesetenv(saved.raw[:28] + control.to_bytes(4, "little"))
        try:
            table["leaky_relu_forward"](Z, -small, 0.5)
            table["row_scale"](s, small[:, 0], 0.5)
            table["gemm_nn"](C, small, halves)
            libm.fegetenv(unusual)
        finally:
            libm.fesetenv(saved)
        assert int.from_bytes(unusual.raw[28:32], "little") & 0xFFC0 == control & 0xFFC0
        least = np.finfo(dtype).smallest_subnormal
        np.testing.assert_array_equal(Z, np.full_like(Z, -32 * least))
        np.testing.assert_array_equal(s, np.full_like(s, 32 * least))
        np.testing.assert_array_equal(C, np.full_like(C, 96 * least))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
def test_chunks_of_256(runner: Runner, dtype: str) -> None:
    """Sums run within chunks of 256, then over chunks: 1 is lost beside 2 / eps unless it waits in a later chunk."""
    table = operations(runner, dtype)
    large = 2.0 / np.finfo(dtype).eps

    def total(k: int, ones: tuple[int, ...]) -> Any:
        A = np.zeros((1, k), dtype)
        A[0, 0], A[0, list(ones)] = large, 1.0
        C = np.empty((1, 1), dtype)
        table["gemm_nn"](C, A, np.ones((k, 1), dtype))
        db = np.empty(1, dtype)
        table["bias_backward"](db, np.ascontiguousarray(A.T))
        dg, mean, variance = np.empty(1, dtype), np.empty(1, dtype), np.empty(1, dtype)
        table["scale_backward"](dg, np.ascontiguousarray(A.T), np.ones((k, 1), dtype))
        table["batch_moments"](mean, variance, np.ascontiguousarray(A.T), 1.0)
        assert db[0] == dg[0] == mean[0] == C[0, 0]
        return C[0, 0] - np.array(large, dtype)

    assert total(256, (254, 255)) == 0.0
    assert total(257, (255, 256)) == 0.0
    assert total(258, (256, 257)) == 2.0
    assert total(514, (511, 512)) == 0.0
