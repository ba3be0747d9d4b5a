"""Losses and metrics: crossentropies from logits, losses of predictions, accuracies, the sums of r2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ...core import arithmetic as ar
from ...core import formulas
from ...core.formulas import PROBABILITY_FLOOR
from .former_frame import Frame, kernel
from .former_lanes import I64, Value, call_intrinsic
from .former_reductions import INFINITY, Columns, Row, choose_by_rows, smaller
from .former_softmax import Exponentials, exponentials, scale_row

# --- targets --------------------------------------------------------------------------------------------------------


def _dense_target(row: Row, Y: Any, keep: Value, add: Value) -> Callable[[Any, Any], Value]:
    return lambda index, mask: row.o.fma(row.load(Y, index, mask), keep, add)


def _sparse_target(row: Row, Y: Any, keep: Value, add: Value) -> Callable[[Any, Any], Value]:
    label = row.o.splat(row.f.load_scalar(Y))
    return lambda index, mask: row.o.select(row.columns(index) == label, 1.0, 0.0)


# --- crossentropy from logits ---------------------------------------------------------------------------------------


def _crossentropy_forward(sparse: bool) -> Callable[..., None]:
    def body(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
        loss, P, Z, Y = addresses
        o = row.o
        _, keep, add = scalars
        target = (_sparse_target if sparse else _dense_target)(row, Y, keep, add)
        m, total = exponentials(row, P, Z)
        log_total = o.splat(row.single(ar.log, total))

        def step(index: Any, mask: Any, lane: Value) -> Value:
            y = target(index, mask)
            surprise = log_total - (row.load(Z, index, mask) - m)
            return lane + o.select(y != 0.0, surprise, 0.0) if sparse else o.fma(y, surprise, lane)

        row.f.store_scalar(row.sum(step), loss)
        scale_row(row, P, total)

    return body


def _crossentropy_columns(sparse: bool) -> Callable[..., Callable[..., None]]:
    def by_columns(columns: Columns, scalars: list[Value]) -> Callable[..., None]:
        f, o = columns.f, columns.o
        _, keep, add = scalars
        made, zero = Exponentials(columns), o.constant(0.0)
        terms = columns.array(0.0)

        def block(loss: Any, P: Any, Z: Any, Y: Any) -> None:
            sums = made.sums(*Z)
            log_sums = ar.log(o, sums)

            def surprise(c: Any) -> Value:
                return log_sums - f.load(columns.place(made.shifted, c))

            if sparse:  # one lane of a row, or none, is not 0
                label, picked = columns.load_scalars(*Y), f.variable(zero.ir)

                def pick(c: Any) -> None:
                    here = o.splat(f.builder.sitofp(c, o.scalar_type)) == label
                    f.builder.store(o.select(here, surprise(c), Value(o, f.builder.load(picked))).ir, picked)

                columns.each(pick)
                value = zero + Value(o, f.builder.load(picked))
            else:
                columns.load(*Y, terms)

                def weigh(c: Any) -> None:
                    y = o.fma(f.load(columns.place(terms, c)), keep, add)
                    f.store(o.fma(y, surprise(c), zero), columns.place(terms, c))

                columns.each(weigh)
                value = columns.fold(terms, lambda a, b: a + b)
            columns.store_scalars(value, *loss)
            made.store_scaled(sums, *P)

        return block

    return by_columns


def _crossentropy_backward(sparse: bool) -> Callable[..., None]:
    def body(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
        dZ, P, Y, scale = addresses
        o = row.o
        _, keep, add = scalars
        target = (_sparse_target if sparse else _dense_target)(row, Y, keep, add)
        s = o.splat(row.f.load_scalar(scale))
        if sparse:
            row.each(lambda i, k: row.store((row.load(P, i, k) - target(i, k)) * s, dZ, i, k))
            return
        t = o.splat(row.sum(lambda i, k, lane: lane + target(i, k)))
        row.each(lambda i, k: row.store(o.fma(row.load(P, i, k), t, -target(i, k)) * s, dZ, i, k))

    return body


# crossentropy_forward(zero, sparse, l, ld, P, ld, Z, ld, Y, ld, rows, C, unused, keep, add): softmax and loss from
# logits
crossentropy_forward = choose_by_rows(
    "crossentropy_forward",
    4,
    3,
    [_crossentropy_forward(False), _crossentropy_forward(True)],
    [_crossentropy_columns(False), _crossentropy_columns(True)],
)
# crossentropy_backward(zero, sparse, dZ, ld, P, ld, Y, ld, s, stride, rows, C, unused, keep, add)
crossentropy_backward = choose_by_rows(
    "crossentropy_backward", 4, 3, [_crossentropy_backward(False), _crossentropy_backward(True)]
)


# --- losses of predictions ------------------------------------------------------------------------------------------


def _mean(row: Row, value: Any) -> Any:
    """value * (1 / C), with 1 / C rounded once from float64."""
    builder, double = row.f.builder, ir.DoubleType()
    inverse = builder.fdiv(ir.Constant(double, 1.0), builder.sitofp(row.width, double))
    if row.o.dtype == "float32":
        inverse = builder.fptrunc(inverse, row.o.scalar_type)
    return builder.fmul(value, inverse)


def _loss_forward(loss: formulas.Loss) -> Callable[..., None]:
    def body(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
        out, A, Y = addresses
        parameter, keep, add = scalars
        target = _dense_target(row, Y, keep, add)
        total = row.sum(lambda i, k, lane: loss.accumulate(row.o, lane, row.load(A, i, k), target(i, k), parameter))
        row.f.store_scalar(_mean(row, total) if loss.mean else total, out)

    return body


def _loss_backward(loss: formulas.Loss) -> Callable[..., None]:
    def body(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
        dA, A, Y, scale = addresses
        parameter, keep, add = scalars
        target = _dense_target(row, Y, keep, add)
        s = row.o.splat(row.f.load_scalar(scale))

        def block(i: Any, k: Any) -> None:
            row.store(loss.slope(row.o, row.load(A, i, k), target(i, k), parameter) * s, dA, i, k)

        row.each(block)

    return body


def _normalised(row: Row, A: Any) -> tuple[Value, Callable[[Any, Any], tuple[Value, Value]]]:
    """1 / sum(a), and q = a / sum(a) with its clipped twin."""
    o = row.o
    total = row.sum(lambda i, k, lane: lane + row.load(A, i, k))
    inverse = o.splat(row.f.builder.fdiv(ir.Constant(o.scalar_type, 1.0), total))

    def block(i: Any, k: Any) -> tuple[Value, Value]:
        q = row.load(A, i, k) * inverse
        return q, formulas.clip(o, q, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)

    return inverse, block


def _probability_forward(sparse: bool) -> Callable[..., None]:
    def body(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
        out, A, Y = addresses
        target = (_sparse_target if sparse else _dense_target)(row, Y, *scalars[1:])
        _, block = _normalised(row, A)
        total = row.sum(lambda i, k, lane: row.o.fma(-target(i, k), ar.log(row.o, block(i, k)[1]), lane))
        row.f.store_scalar(total, out)

    return body


def _probability_backward(sparse: bool) -> Callable[..., None]:
    def body(row: Row, addresses: list[Any], scalars: list[Value]) -> None:
        dA, A, Y, scale = addresses
        o = row.o
        target = (_sparse_target if sparse else _dense_target)(row, Y, *scalars[1:])
        inverse, block = _normalised(row, A)
        s = o.splat(row.f.load_scalar(scale))

        def slope(i: Any, k: Any) -> tuple[Value, Value]:
            q, clipped = block(i, k)
            return q, o.select(q != clipped, 0.0, -target(i, k) / clipped)

        def step(i: Any, k: Any, lane: Value) -> Value:
            q, g = slope(i, k)
            return o.fma(g, q, lane)

        t = o.splat(row.sum(step))
        row.each(lambda i, k: row.store(((slope(i, k)[1] - t) * inverse) * s, dA, i, k))

    return body


_FORWARD = [_loss_forward(loss) for loss in formulas.LOSSES.values()]
_FORWARD += [_probability_forward(False), _probability_forward(True)]
_BACKWARD = [_loss_backward(loss) for loss in formulas.LOSSES.values()]
_BACKWARD += [_probability_backward(False), _probability_backward(True)]

# loss_forward(zero, code, l, stride, A, ld, Y, ld, rows, C, parameter, keep, add)
loss_forward = choose_by_rows("loss_forward", 3, 3, _FORWARD)
# loss_backward(zero, code, dA, ld, A, ld, Y, ld, s, stride, rows, C, parameter, keep, add)
loss_backward = choose_by_rows("loss_backward", 4, 3, _BACKWARD)


# --- metrics --------------------------------------------------------------------------------------------------------


def _argmax(row: Row, address: Any) -> Any:
    """The first column that equals the row's maximum; C where none does. IR scalar float."""
    o = row.o
    m = o.splat(row.max(address))
    none = row.f.builder.sitofp(row.width, o.scalar_type)

    def step(index: Any, mask: Any, lane: Value) -> Value:
        return smaller(lane, o.select(row.load(address, index, mask) == m, row.columns(index), o.splat(none)))

    found = row.fold(INFINITY, step, smaller)
    return row.f.builder.select(row.f.builder.fcmp_ordered("<", found, none), found, none)


def _equal(row: Row, a: Any, b: Any, out: Any) -> None:
    one, zero = (ir.Constant(row.o.scalar_type, value) for value in (1.0, 0.0))
    row.f.store_scalar(row.f.builder.select(row.f.builder.fcmp_ordered("==", a, b), one, zero), out)


def _binary_accuracy(row: Row, addresses: list[Any], _: list[Value]) -> None:
    out, A, Y = addresses
    o = row.o

    def step(i: Any, k: Any, lane: Value) -> Value:
        guess = o.select(row.load(A, i, k) > 0.5, 1.0, 0.0)
        return lane + o.select(guess == row.load(Y, i, k), 1.0, 0.0)

    row.f.store_scalar(_mean(row, row.sum(step)), out)


def _categorical_accuracy(row: Row, addresses: list[Any], _: list[Value]) -> None:
    out, A, Y = addresses
    _equal(row, _argmax(row, A), _argmax(row, Y), out)


def _sparse_categorical_accuracy(row: Row, addresses: list[Any], _: list[Value]) -> None:
    out, A, Y = addresses
    _equal(row, _argmax(row, A), row.f.load_scalar(Y), out)


# accuracy(zero, number among ROW_METRICS, r, stride, A, ld, Y, ld, rows, C)
accuracy = choose_by_rows("accuracy", 3, 0, [_binary_accuracy, _categorical_accuracy, _sparse_categorical_accuracy])


def _r2_sums(
    f: Frame, sums: Any, A: Any, ldA: Any, Y: Any, ldY: Any, weights: Any, stride: Any, rows: Any, width: Any
) -> None:
    """sums (3 C + 1, float64): sum w y, sum w y^2, sum w (y - a)^2 by output in row order, then the sum of w; weights
    may be address 0: ones."""
    builder, double = f.builder, ir.DoubleType()
    one = ir.Constant(double, 1.0)

    def wide(address: Any) -> Any:
        value = f.load_scalar(address)
        return value if f.dtype == "float64" else builder.fpext(value, double)

    def slot(part: int, column: Any) -> Any:
        index = builder.add(builder.mul(width, I64(part)), column)
        return f.pointer(f.at(sums, index, 8), double)

    def add(a: Any, b: Any, place: Any) -> None:
        """place += a b, rounded once."""
        made = call_intrinsic(builder, "llvm.fma.f64", double, [a, b, builder.load(place)])
        builder.store(made, place)

    weighted = builder.icmp_signed("!=", weights, I64(0))
    weight = f.variable(one)
    count = slot(3, I64(0))
    with f.loop(rows) as row:
        with builder.if_then(weighted):
            builder.store(wide(f.at(weights, builder.mul(row, stride))), weight)
        w = builder.load(weight)
        with f.loop(width) as column:
            a = wide(f.at(A, builder.add(builder.mul(row, ldA), column)))
            y = wide(f.at(Y, builder.add(builder.mul(row, ldY), column)))
            d = builder.fsub(y, a)
            add(w, y, slot(0, column))
            add(builder.fmul(w, y), y, slot(1, column))
            add(builder.fmul(w, d), d, slot(2, column))
        builder.store(builder.fadd(builder.load(count), w), count)


# r2_sums(zero, sums, A, ldA, Y, ldY, weights or 0, stride, rows, C)
r2_sums = kernel("r2_sums", 9, 0, _r2_sums)
