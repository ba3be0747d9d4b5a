"""Kernels that need a whole row: softmax, the losses, the accuracies. Rows of up to 16 elements stay in one
register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from ... import arithmetic as ar
from ... import formulas
from ...formulas import PROBABILITY_FLOOR
from .lanes import I64, LANES, Frame, Lanes, Value, call_intrinsic, choose, kernel

INFINITY = float("inf")


class Row:
    """One row of C elements, in one block where it is narrow, else in a loop of blocks."""

    def __init__(self, f: Frame, width: Any, narrow: bool) -> None:
        self.f, self.width, self.narrow = f, width, narrow
        self.o = f.lanes
        if narrow:
            self._mask = f.mask(width)
            self._stash: dict[Any, Value] = {}

    def each(self, body: Callable[[Any, Any], None]) -> None:
        """`body(index, mask)` for each block."""
        if self.narrow:
            body(I64(0), self._mask)
            return
        with self.f.blocks(self.width) as (index, mask):
            body(index, mask)

    def load(self, address: Any, index: Any, mask: Any) -> Value:
        """A block of the row at `address`; a narrow row is read once."""
        if not self.narrow:
            return self.f.load(self.f.at(address, index), mask)
        if address not in self._stash:
            self._stash[address] = self.f.load(address, mask)
        return self._stash[address]

    def store(self, value: Value, address: Any, index: Any, mask: Any) -> None:
        self.f.store(value, self.f.at(address, index), mask)
        if self.narrow:
            self._stash[address] = value

    def fold(
        self, start: float, step: Callable[[Any, Any, Value], Value], combine: Callable[[Value, Value], Value]
    ) -> Any:
        """The contract's row reduction: 16 lanes from `start`, then the tree; the IR scalar."""
        initial = self.o.constant(start)
        lane = None if self.narrow else self.f.variable(initial.ir)

        def body(index: Any, mask: Any) -> None:
            nonlocal initial
            before = initial if lane is None else Value(self.o, self.f.builder.load(lane))
            after = self.o.select(Value(self.o, mask), step(index, mask, before), before)
            if lane is None:
                initial = after
            else:
                self.f.builder.store(after.ir, lane)

        self.each(body)
        return self.o.tree(initial if lane is None else Value(self.o, self.f.builder.load(lane)), combine)

    def sum(self, step: Callable[[Any, Any, Value], Value]) -> Any:
        return self.fold(0.0, step, lambda a, b: a + b)

    def max(self, address: Any) -> Any:
        def step(index: Any, mask: Any, lane: Value) -> Value:
            x = self.load(address, index, mask)
            return self.o.select(x > lane, x, lane)

        return self.fold(-INFINITY, step, _larger)

    def columns(self, index: Any) -> Value:
        """The column numbers of a block as floats, to compare with a class label."""
        base = self.f.builder.sitofp(index, self.o.scalar_type)
        return self.o.iota() + self.o.splat(base)


def _larger(a: Value, b: Value) -> Value:
    return a.lanes.select(b > a, b, a)


def _smaller(a: Value, b: Value) -> Value:
    return a.lanes.select(a > b, b, a)


def _rows(arrays: int, body: Callable[..., None]) -> Callable[..., None]:
    """The emit of a kernel over rows: integers are (address, row stride in elements) of each array, then rows and C.

    `body(row, addresses, scalars)` writes one row.
    """

    def emit(f: Frame, *arguments: Any) -> None:
        pairs = [(arguments[2 * i], arguments[2 * i + 1]) for i in range(arrays)]
        rows, width = arguments[2 * arrays : 2 * arrays + 2]
        splats = [f.lanes.splat(scalar) for scalar in arguments[2 * arrays + 2 :]]

        def loop(narrow: bool) -> None:
            with f.loop(rows) as number:
                addresses = [f.at(address, f.builder.mul(number, stride)) for address, stride in pairs]
                body(Row(f, width, narrow), addresses, splats)

        with f.builder.if_else(f.builder.icmp_signed("<=", width, I64(LANES))) as (narrow, wide):
            with narrow:
                loop(True)
            with wide:
                loop(False)

    return emit


def _choose_rows(name: str, arrays: int, scalars: int, bodies: list[Callable[..., None]]) -> Any:
    return choose(name, 2 * arrays + 2, scalars, [_rows(arrays, body) for body in bodies])


def _exponentials(row: Row, P: Any, Z: Any) -> tuple[Value, Any]:
    """Leaves e^(z - max) in P; gives the max (all lanes) and the sum (IR scalar)."""
    o = row.o
    m = o.splat(row.max(Z))

    def step(index: Any, mask: Any, lane: Value) -> Value:
        e = ar.exp_nonpositive(o, row.load(Z, index, mask) - m)
        row.store(e, P, index, mask)
        return lane + e

    return m, row.sum(step)


def _scale_row(row: Row, P: Any, total: Any) -> None:
    """P = P * (1 / total)."""
    o = row.o
    inverse = o.splat(row.f.builder.fdiv(ir.Constant(o.scalar_type, 1.0), total))
    row.each(lambda index, mask: row.store(row.load(P, index, mask) * inverse, P, index, mask))


def _softmax_forward(row: Row, addresses: list[Any], _: list[Value]) -> None:
    P, Z = addresses
    _scale_row(row, P, _exponentials(row, P, Z)[1])


def _softmax_backward(row: Row, addresses: list[Any], _: list[Value]) -> None:
    dZ, dP, P = addresses
    o = row.o
    t = o.splat(row.sum(lambda i, k, lane: o.fma(row.load(dP, i, k), row.load(P, i, k), lane)))
    row.each(lambda i, k: row.store(row.load(P, i, k) * (row.load(dP, i, k) - t), dZ, i, k))


# softmax_forward(zero, P, ldP, Z, ldZ, rows, C); softmax_backward(zero, dZ, ld, dP, ld, P, ld, rows, C)
softmax_forward = kernel("softmax_forward", 6, 0, _rows(2, _softmax_forward))
softmax_backward = kernel("softmax_backward", 8, 0, _rows(3, _softmax_backward))


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
        m, total = _exponentials(row, P, Z)
        one = Lanes(row.f.builder, o.dtype, 1)
        log_total = o.splat(
            row.f.builder.extract_element(ar.log(one, one.splat(total)).ir, ir.Constant(ir.IntType(32), 0))
        )

        def step(index: Any, mask: Any, lane: Value) -> Value:
            y = target(index, mask)
            surprise = log_total - (row.load(Z, index, mask) - m)
            return lane + o.select(y != 0.0, surprise, 0.0) if sparse else o.fma(y, surprise, lane)

        row.f.store_scalar(row.sum(step), loss)
        _scale_row(row, P, total)

    return body


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
crossentropy_forward = _choose_rows(
    "crossentropy_forward", 4, 3, [_crossentropy_forward(False), _crossentropy_forward(True)]
)
# crossentropy_backward(zero, sparse, dZ, ld, P, ld, Y, ld, s, stride, rows, C, unused, keep, add)
crossentropy_backward = _choose_rows(
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
loss_forward = _choose_rows("loss_forward", 3, 3, _FORWARD)
# loss_backward(zero, code, dA, ld, A, ld, Y, ld, s, stride, rows, C, parameter, keep, add)
loss_backward = _choose_rows("loss_backward", 4, 3, _BACKWARD)


# --- metrics --------------------------------------------------------------------------------------------------------


def _argmax(row: Row, address: Any) -> Any:
    """The first column that equals the row's maximum; C where none does. IR scalar float."""
    o = row.o
    m = o.splat(row.max(address))
    none = row.f.builder.sitofp(row.width, o.scalar_type)

    def step(index: Any, mask: Any, lane: Value) -> Value:
        return _smaller(lane, o.select(row.load(address, index, mask) == m, row.columns(index), o.splat(none)))

    found = row.fold(INFINITY, step, _smaller)
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
accuracy = _choose_rows("accuracy", 3, 0, [_binary_accuracy, _categorical_accuracy, _sparse_categorical_accuracy])


def _r2_sums(f: Frame, sums: Any, A: Any, ldA: Any, Y: Any, ldY: Any, rows: Any, width: Any) -> None:
    """sums (3 C + 1, float64): sum y, sum y^2, sum (y - a)^2 by output in row order, then the row count."""
    builder, double = f.builder, ir.DoubleType()

    def wide(address: Any) -> Any:
        value = f.load_scalar(address)
        return value if f.dtype == "float64" else builder.fpext(value, double)

    def slot(part: int, column: Any) -> Any:
        index = builder.add(builder.mul(width, I64(part)), column)
        return f.pointer(f.at(sums, index, 8), double)

    def fma(a: Any, b: Any, c: Any) -> Any:
        return call_intrinsic(builder, "llvm.fma.f64", double, [a, b, c])

    with f.loop(rows) as row, f.loop(width) as column:
        a = wide(f.at(A, builder.add(builder.mul(row, ldA), column)))
        y = wide(f.at(Y, builder.add(builder.mul(row, ldY), column)))
        d = builder.fsub(y, a)
        builder.store(builder.fadd(builder.load(slot(0, column)), y), slot(0, column))
        builder.store(fma(y, y, builder.load(slot(1, column))), slot(1, column))
        builder.store(fma(d, d, builder.load(slot(2, column))), slot(2, column))
    count = slot(3, I64(0))
    builder.store(builder.fadd(builder.load(count), builder.sitofp(rows, double)), count)


# r2_sums(zero, sums, A, ldA, Y, ldY, rows, C)
r2_sums = kernel("r2_sums", 7, 0, _r2_sums)
