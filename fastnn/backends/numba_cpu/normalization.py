"""Normalization kernels: the moments of a batch, standardizing by columns, batch and layer normalization.

Matrices and the vectors that serve every row of them are (address, row stride): a vector's stride is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core import formulas
from .elementwise import map_kernel
from .frame import Frame, choose, kernel
from .lanes import Lanes, Value
from .reductions import Row, batch_fold, by_rows


def _map_rows(outputs: int, inputs: int, formula: Callable[..., tuple[Value, ...]]) -> Callable[..., None]:
    """Body of dst_0[row], ... = formula(lanes, src_0[row], ..., scalars...): integers are the pairs of each array, then
    rows and columns."""

    def emit(f: Frame, *arguments: Any) -> None:
        count = outputs + inputs
        pairs = [(arguments[2 * i], arguments[2 * i + 1]) for i in range(count)]
        rows, width = arguments[2 * count : 2 * count + 2]
        splats = [f.lanes.splat(scalar) for scalar in arguments[2 * count + 2 :]]
        with f.loop(rows) as row:
            addresses = [f.at(address, f.builder.mul(row, stride)) for address, stride in pairs]

            def body(index: Any, mask: Any) -> None:
                values = [f.load(f.at(address, index), mask) for address in addresses[outputs:]]
                made = formula(f.lanes, *values, *splats)
                for value, address in zip(made, addresses, strict=False):
                    f.store(value, f.at(address, index), mask)

            f.each(width, body)

    return emit


# --- statistics of a batch ------------------------------------------------------------------------------------------


def _batch_moments(
    f: Frame, mean: Any, variance: Any, Z: Any, ld: Any, rows: Any, columns: Any, inverse_b: Any
) -> None:
    """mean = sum(Z) / B and var = sum((Z - mean)^2) / B over the batch, by columns."""
    o = f.lanes
    inverse = o.splat(inverse_b)
    with f.blocks(columns) as (column, mask):

        def mean_of(step: Callable[..., Value]) -> Value:
            return batch_fold(f, [(Z, ld)], rows, column, mask, step) * inverse

        m = mean_of(lambda lane, z: lane + z)
        f.store(m, f.at(mean, column), mask)
        f.store(mean_of(lambda lane, z: o.fma(z - m, z - m, lane)), f.at(variance, column), mask)


# batch_moments(zero, mean, var, Z, ld, rows, columns, inverse_b)
batch_moments = kernel("batch_moments", 6, 1, _batch_moments)

# moving_average(zero, m, m, x, n, rate)
moving_average = kernel("moving_average", 4, 1, map_kernel(formulas.moving_average, 2))

# inverse_deviation(zero, code, inv, var, n, epsilon)
inverse_deviation = choose(
    "inverse_deviation",
    3,
    1,
    [map_kernel(formula, 1) for formula in (formulas.inverse_deviation, formulas.inverse_deviation_floor)],
)


def _scale_backward(f: Frame, dg: Any, dA: Any, ldA: Any, N: Any, ldN: Any, rows: Any, columns: Any) -> None:
    """dg_o = sum over the batch of dA_bo N_bo."""
    with f.blocks(columns) as (column, mask):
        total = batch_fold(f, [(dA, ldA), (N, ldN)], rows, column, mask, lambda lane, d, n: f.lanes.fma(d, n, lane))
        f.store(total, f.at(dg, column), mask)


# scale_backward(zero, dg, dA, ld, N, ld, rows, columns)
scale_backward = kernel("scale_backward", 7, 0, _scale_backward)


# --- standardizing by columns ---------------------------------------------------------------------------------------


def _standardize_forward(o: Lanes, z: Value, mean: Value, inv: Value, gamma: Value, beta: Value) -> tuple[Value, ...]:
    return (o.fma(formulas.standardized(o, z, mean, inv), gamma, beta),)


def _standardize_backward(o: Lanes, d: Value, inv: Value, gamma: Value) -> tuple[Value, ...]:
    return (formulas.standardize_slope(o, d, inv, gamma),)


def _batch_norm_forward(o: Lanes, z: Value, mean: Value, inv: Value, gamma: Value, beta: Value) -> tuple[Value, ...]:
    n = formulas.standardized(o, z, mean, inv)
    return o.fma(n, gamma, beta), n


def _batch_norm_backward(o: Lanes, *values: Value) -> tuple[Value, ...]:
    return (formulas.batch_norm_slope(o, *values),)


# standardize_forward(zero, A, ld, Z, ld, mean, 0, inv, 0, gamma, 0, beta, 0, rows, columns)
standardize_forward = kernel("standardize_forward", 14, 0, _map_rows(1, 5, _standardize_forward))
# standardize_backward(zero, dZ, ld, dA, ld, inv, 0, gamma, 0, rows, columns)
standardize_backward = kernel("standardize_backward", 10, 0, _map_rows(1, 3, _standardize_backward))
# batch_norm_forward(zero, A, ld, N, ld, Z, ld, mean, 0, inv, 0, gamma, 0, beta, 0, rows, columns)
batch_norm_forward = kernel("batch_norm_forward", 16, 0, _map_rows(2, 5, _batch_norm_forward))
# batch_norm_backward(zero, dZ, ld, dA, ld, N, ld, inv, 0, gamma, 0, db, 0, dg, 0, rows, columns, inverse_b)
batch_norm_backward = kernel("batch_norm_backward", 16, 1, _map_rows(1, 6, _batch_norm_backward))


# --- layer normalization --------------------------------------------------------------------------------------------


def _layer_norm_forward(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
    A, N, inv, Z, gamma, beta = addresses
    epsilon, inverse_o = scalars
    o = row.o
    s = o.splat(row.sum(lambda i, k, lane: lane + row.load(Z, i, k)))

    def deviation(i: Any, k: Any) -> Value:
        return o.fma(-s, inverse_o, row.load(Z, i, k))

    def square(i: Any, k: Any, lane: Value) -> Value:
        d = deviation(i, k)
        return o.fma(d, d, lane)

    inverse = row.single(
        lambda one, q, share, epsilon: 1.0 / one.sqrt(one.fma(q, share, epsilon)), row.sum(square), inverse_o, epsilon
    )
    row.f.store_scalar(inverse, inv)
    scale = o.splat(inverse)

    def block(i: Any, k: Any) -> None:
        n = deviation(i, k) * scale
        row.store(n, N, i, k)
        row.store(o.fma(n, row.load(gamma, i, k), row.load(beta, i, k)), A, i, k)

    row.each(block)


def _layer_norm_backward(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
    dZ, dA, N, inv, gamma = addresses
    (inverse_o,) = scalars
    o = row.o

    def mean(step: Callable[[Any, Any, Value], Value]) -> Value:
        return o.splat(row.sum(step)) * inverse_o

    def element(i: Any, k: Any) -> tuple[Value, Value, Value]:
        return row.load(dA, i, k), row.load(gamma, i, k), row.load(N, i, k)

    def plain(i: Any, k: Any, lane: Value) -> Value:
        d, g, _ = element(i, k)
        return o.fma(d, g, lane)

    def weighted(i: Any, k: Any, lane: Value) -> Value:
        d, g, n = element(i, k)
        return o.fma(d * g, n, lane)

    m1, m2 = mean(plain), mean(weighted)
    scale = o.splat(row.f.load_scalar(inv))

    def block(i: Any, k: Any) -> None:
        d, g, n = element(i, k)
        row.store(formulas.layer_norm_slope(o, d, n, scale, g, m1, m2), dZ, i, k)

    row.each(block)


# layer_norm_forward(zero, A, ld, N, ld, inv, stride, Z, ld, gamma, 0, beta, 0, rows, columns, epsilon, inverse_o)
layer_norm_forward = kernel("layer_norm_forward", 14, 2, by_rows(6, _layer_norm_forward))
# layer_norm_backward(zero, dZ, ld, dA, ld, N, ld, inv, stride, gamma, 0, rows, columns, inverse_o)
layer_norm_backward = kernel("layer_norm_backward", 12, 1, by_rows(5, _layer_norm_backward))
