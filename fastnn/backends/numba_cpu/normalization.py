"""Normalization kernels: the moments of a batch, standardizing by columns, batch and layer normalization.

Matrices and the vectors that serve every row of them have a row stride: a vector's is 0.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core import formulas
from .declare import Arguments, Body, choose, declare, kernel
from .elementwise import mapped
from .frame import Frame
from .integers import Integer, Pointer
from .lanes import Lanes, Mask, Value
from .reductions import Row, Rows, batch_fold, by_rows


def _mapped_rows(outputs: int, formula: Callable[..., tuple[Value, ...]]) -> Body:
    """Body of (dst_0[row], ...) = formula(lanes, src_0[row], ..., scalars...)."""

    def body(f: Frame, a: Arguments) -> None:
        rows = Rows(f, a)
        scalars = [argument for argument in rows.arguments if isinstance(argument, Value)]
        with f.loop(a.rows) as index:
            places = [argument for argument in rows.at_row(index) if isinstance(argument, Pointer)]

            def element(index: Integer, mask: Mask) -> None:
                values = [(place + index).load(mask) for place in places[outputs:]]
                made = formula(f.lanes, *values, *scalars)
                for value, place in zip(made, places, strict=False):
                    (place + index).store(value, mask)

            f.each(a.columns, element)

    return body


# --- statistics of a batch ------------------------------------------------------------------------------------------


@kernel("*mean *var *Z ld rows columns; inverse_b")
def batch_moments(f: Frame, a: Arguments) -> None:
    """mean = sum(Z) / B and var = sum((Z - mean)^2) / B over the batch, by columns."""
    o = f.lanes
    inverse = o.splat(a.inverse_b)
    with f.blocks(a.columns) as (column, mask):

        def mean_of(step: Callable[..., Value]) -> Value:
            return batch_fold(f, [(a.Z, a.ld)], a.rows, column, mask, step) * inverse

        m = mean_of(lambda lane, z: lane + z)
        (a.mean + column).store(m, mask)
        v = mean_of(lambda lane, z: o.fma(z - m, z - m, lane))
        (a.var + column).store(v, mask)


moving_average = declare("moving_average", "*dst *m *x n; rate", mapped(formulas.moving_average))
inverse_deviation = choose(
    "inverse_deviation",
    "*inv *var n; epsilon",
    [mapped(formula) for formula in (formulas.inverse_deviation, formulas.inverse_deviation_floor)],
)


@kernel("*dg *dA ldA *N ldN rows columns")
def scale_backward(f: Frame, a: Arguments) -> None:
    """dg_o = sum over the batch of dA_bo N_bo."""
    pairs = [(a.dA, a.ldA), (a.N, a.ldN)]
    with f.blocks(a.columns) as (column, mask):
        total = batch_fold(f, pairs, a.rows, column, mask, lambda lane, d, n: f.lanes.fma(d, n, lane))
        (a.dg + column).store(total, mask)


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


standardize_forward = declare(
    "standardize_forward",
    "*A ldA *Z ldZ *mean ld_mean *inv ld_inv *gamma ld_gamma *beta ld_beta rows columns",
    _mapped_rows(1, _standardize_forward),
)
standardize_backward = declare(
    "standardize_backward",
    "*dZ lddZ *dA lddA *inv ld_inv *gamma ld_gamma rows columns",
    _mapped_rows(1, _standardize_backward),
)
batch_norm_forward = declare(
    "batch_norm_forward",
    "*A ldA *N ldN *Z ldZ *mean ld_mean *inv ld_inv *gamma ld_gamma *beta ld_beta rows columns",
    _mapped_rows(2, _batch_norm_forward),
)
batch_norm_backward = declare(
    "batch_norm_backward",
    "*dZ lddZ *dA lddA *N ldN *inv ld_inv *gamma ld_gamma *db ld_db *dg ld_dg rows columns; inverse_b",
    _mapped_rows(1, _batch_norm_backward),
)


# --- layer normalization --------------------------------------------------------------------------------------------


def _layer_norm_forward(row: Row, a: Arguments) -> None:
    o = row.o
    s = o.splat(row.sum(lambda i, k, lane: lane + row.load(a.Z, i, k)))

    def deviation(i: Integer, k: Mask) -> Value:
        return o.fma(-s, a.inverse_o, row.load(a.Z, i, k))

    def square(i: Integer, k: Mask, lane: Value) -> Value:
        d = deviation(i, k)
        return o.fma(d, d, lane)

    inverse = row.single(
        lambda one, q, share, epsilon: 1.0 / one.sqrt(one.fma(q, share, epsilon)),
        row.sum(square),
        a.inverse_o.lane(0),
        a.epsilon.lane(0),
    )
    a.inv[0] = inverse
    scale = o.splat(inverse)

    def block(i: Integer, k: Mask) -> None:
        n = deviation(i, k) * scale
        row.store(n, a.N, i, k)
        row.store(o.fma(n, row.load(a.gamma, i, k), row.load(a.beta, i, k)), a.A, i, k)

    row.each(block)


def _layer_norm_backward(row: Row, a: Arguments) -> None:
    o = row.o

    def mean(step: Callable[[Integer, Mask, Value], Value]) -> Value:
        return o.splat(row.sum(step)) * a.inverse_o

    def element(i: Integer, k: Mask) -> tuple[Value, Value, Value]:
        return row.load(a.dA, i, k), row.load(a.gamma, i, k), row.load(a.N, i, k)

    def plain(i: Integer, k: Mask, lane: Value) -> Value:
        d, g, _ = element(i, k)
        return o.fma(d, g, lane)

    def weighted(i: Integer, k: Mask, lane: Value) -> Value:
        d, g, n = element(i, k)
        return o.fma(d * g, n, lane)

    m1, m2 = mean(plain), mean(weighted)
    scale = o.splat(a.inv[0])

    def block(i: Integer, k: Mask) -> None:
        d, g, n = element(i, k)
        row.store(formulas.layer_norm_slope(o, d, n, scale, g, m1, m2), a.dZ, i, k)

    row.each(block)


layer_norm_forward = declare(
    "layer_norm_forward",
    "*A ldA *N ldN *inv ld_inv *Z ldZ *gamma ld_gamma *beta ld_beta rows columns; epsilon inverse_o",
    by_rows(_layer_norm_forward),
)
layer_norm_backward = declare(
    "layer_norm_backward",
    "*dZ lddZ *dA lddA *N ldN *inv ld_inv *gamma ld_gamma rows columns; inverse_o",
    by_rows(_layer_norm_backward),
)
