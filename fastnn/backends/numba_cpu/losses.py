"""Losses and metrics: crossentropies from logits, losses of predictions, accuracies, the sums of r2."""

from __future__ import annotations

from collections.abc import Callable

from ...core import arithmetic as ar
from ...core.losses import LOSSES, PROBABILITY_FLOOR, Loss
from .declare import Arguments, kernel
from .frame import Frame
from .integers import Integer, Pointer
from .lanes import Lanes, Mask, Value
from .reductions import INFINITY, ByColumns, ByRows, Columns, Row, choose_by_rows, larger, smaller
from .softmax import Exponentials, exponentials, scale_row

# --- targets --------------------------------------------------------------------------------------------------------

Target = Callable[[Integer, Mask], Value]


def _dense_target(row: Row, Y: Pointer, keep: Value, add: Value) -> Target:
    return lambda index, mask: row.o.fma(row.load(Y, index, mask), keep, add)


def _sparse_target(row: Row, Y: Pointer, keep: Value, add: Value) -> Target:
    label = row.o.splat(Y[0])
    return lambda index, mask: row.o.select(row.columns(index) == label, 1.0, 0.0)


# --- crossentropy from logits ---------------------------------------------------------------------------------------


def _crossentropy_forward(sparse: bool) -> ByRows:
    def body(row: Row, a: Arguments) -> None:
        o = row.o
        target = (_sparse_target if sparse else _dense_target)(row, a.Y, a.keep, a.add)
        m, total = exponentials(row, a.P, a.Z)
        log_total = o.splat(row.single(ar.log, total))

        def step(index: Integer, mask: Mask, lane: Value) -> Value:
            y = target(index, mask)
            surprise = log_total - (row.load(a.Z, index, mask) - m)
            return lane + o.select(y != 0.0, surprise, 0.0) if sparse else o.fma(y, surprise, lane)

        a.l[0] = row.sum(step)
        scale_row(row, a.P, total)

    return body


def _crossentropy_columns(sparse: bool) -> ByColumns:
    def by_columns(columns: Columns, _: Arguments) -> Callable[[Arguments], None]:
        made, terms = Exponentials(columns), columns.array(0.0)

        def block(a: Arguments) -> None:
            sums = made.sums(a.Z, a.ldZ)
            log_sums = ar.log(columns.o, sums)
            value = _of_class(made, a, log_sums) if sparse else _weighed(made, a, log_sums, terms)
            columns.store_scalars(value, a.l, a.ldl)
            made.store_scaled(sums, a.P, a.ldP)

        return block

    return by_columns


def _surprise(made: Exponentials, log_sums: Value, c: Integer) -> Value:
    """-log p of a column."""
    return log_sums - made.columns.column(made.shifted, c).load()


def _of_class(made: Exponentials, a: Arguments, log_sums: Value) -> Value:
    """The surprise of each row's class: one lane of a row, or none, is not 0."""
    columns = made.columns
    f, o, zero = columns.f, columns.o, columns.o.constant(0.0)
    label, picked = columns.load_scalars(a.Y, a.ldY), f.variable(zero)

    def pick(c: Integer) -> None:
        here = o.splat(f.scalar.real(c)) == label
        picked.value = o.select(here, _surprise(made, log_sums, c), picked.value)

    columns.each(pick)
    return zero + picked.value


def _weighed(made: Exponentials, a: Arguments, log_sums: Value, terms: Pointer) -> Value:
    """The surprises of all columns, weighed with the targets."""
    columns, o = made.columns, made.columns.o
    columns.load(a.Y, a.ldY, terms)

    def weigh(c: Integer) -> None:
        y = o.fma(columns.column(terms, c).load(), a.keep, a.add)
        term = o.fma(y, _surprise(made, log_sums, c), 0.0)
        columns.column(terms, c).store(term)

    columns.each(weigh)
    return columns.fold(terms, lambda a, b: a + b)


def _crossentropy_backward(sparse: bool) -> ByRows:
    def body(row: Row, a: Arguments) -> None:
        o = row.o
        target = (_sparse_target if sparse else _dense_target)(row, a.Y, a.keep, a.add)
        s = o.splat(a.s[0])
        if sparse:
            row.each(lambda i, k: row.store((row.load(a.P, i, k) - target(i, k)) * s, a.dZ, i, k))
            return
        t = o.splat(row.sum(lambda i, k, lane: lane + target(i, k)))
        row.each(lambda i, k: row.store(o.fma(row.load(a.P, i, k), t, -target(i, k)) * s, a.dZ, i, k))

    return body


# Softmax and loss from logits.
crossentropy_forward = choose_by_rows(
    "crossentropy_forward",
    "*l ldl *P ldP *Z ldZ *Y ldY rows columns; p keep add",
    [_crossentropy_forward(False), _crossentropy_forward(True)],
    [_crossentropy_columns(False), _crossentropy_columns(True)],
)
crossentropy_backward = choose_by_rows(
    "crossentropy_backward",
    "*dZ lddZ *P ldP *Y ldY *s lds rows columns; p keep add",
    [_crossentropy_backward(False), _crossentropy_backward(True)],
)


# --- losses of predictions ------------------------------------------------------------------------------------------


def _sums(loss: Loss, row: Row, a: Arguments, target: Callable[[Integer, Mask], Value]) -> list[Value]:
    """A loss's sums over a row, numbers."""
    o = row.o
    sums: list[Value] = []
    splats: list[Value] = []
    for step, largest in loss.sums:

        def accumulate(i: Integer, k: Mask, lane: Value, step: Callable[..., Value] = step) -> Value:
            return step(o, lane, row.load(a.A, i, k), target(i, k), a.p, *splats)

        sums.append(row.fold(-INFINITY, accumulate, larger) if largest else row.sum(accumulate))
        splats.append(row.spread(sums[-1]))
    return sums


def _loss_forward(loss: Loss) -> ByRows:
    def body(row: Row, a: Arguments) -> None:
        target = _dense_target(row, a.Y, a.keep, a.add)
        sums = _sums(loss, row, a, target)
        value = sums[0] if loss.value is None else row.single(loss.value, *sums)
        row.give(row.mean(value) if loss.mean else value, a.l)

    return body


def _loss_backward(loss: Loss) -> ByRows:
    def body(row: Row, a: Arguments) -> None:
        target = _dense_target(row, a.Y, a.keep, a.add)
        s = row.number(a.s)
        sums = [] if loss.value is None else [row.spread(total) for total in _sums(loss, row, a, target)]

        def block(i: Integer, k: Mask) -> None:
            row.store(loss.slope(row.o, row.load(a.A, i, k), target(i, k), a.p, *sums) * s, a.dA, i, k)

        row.each(block)

    return body


def _normalised(row: Row, A: Pointer) -> tuple[Value, Callable[[Integer, Mask], tuple[Value, Value]]]:
    """1 / sum(a), and q = a / sum(a) with its clipped twin."""
    o = row.o
    total = row.sum(lambda i, k, lane: lane + row.load(A, i, k))
    inverse = o.splat(1.0 / total)

    def block(i: Integer, k: Mask) -> tuple[Value, Value]:
        q = row.load(A, i, k) * inverse
        return q, ar.clip(o, q, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)

    return inverse, block


def _probability_forward(sparse: bool) -> ByRows:
    def body(row: Row, a: Arguments) -> None:
        target = (_sparse_target if sparse else _dense_target)(row, a.Y, a.keep, a.add)
        _, block = _normalised(row, a.A)
        total = row.sum(lambda i, k, lane: row.o.fma(-target(i, k), ar.log(row.o, block(i, k)[1]), lane))
        a.l[0] = total

    return body


def _probability_backward(sparse: bool) -> ByRows:
    def body(row: Row, a: Arguments) -> None:
        o = row.o
        target = (_sparse_target if sparse else _dense_target)(row, a.Y, a.keep, a.add)
        inverse, block = _normalised(row, a.A)
        s = o.splat(a.s[0])

        def slope(i: Integer, k: Mask) -> tuple[Value, Value]:
            q, clipped = block(i, k)
            return q, o.select(q != clipped, 0.0, -target(i, k) / clipped)

        def step(i: Integer, k: Mask, lane: Value) -> Value:
            q, g = slope(i, k)
            return o.fma(g, q, lane)

        t = o.splat(row.sum(step))
        row.each(lambda i, k: row.store(((slope(i, k)[1] - t) * inverse) * s, a.dA, i, k))

    return body


_FORWARD = [_loss_forward(loss) for loss in LOSSES.values()]
_BACKWARD = [_loss_backward(loss) for loss in LOSSES.values()]

loss_forward = choose_by_rows(
    "loss_forward",
    "*l ldl *A ldA *Y ldY rows columns; p keep add",
    [*_FORWARD, _probability_forward(False), _probability_forward(True)],
    by_elements=_FORWARD,
)
loss_backward = choose_by_rows(
    "loss_backward",
    "*dA lddA *A ldA *Y ldY *s lds rows columns; p keep add",
    [*_BACKWARD, _probability_backward(False), _probability_backward(True)],
    by_elements=_BACKWARD,
)


# --- metrics --------------------------------------------------------------------------------------------------------


def _argmax(row: Row, x: Pointer) -> Value:
    """The first column that equals the row's maximum; C where none does."""
    o, one = row.o, row.f.scalar
    m = o.splat(row.max(x))
    none = one.real(row.width)

    def step(index: Integer, mask: Mask, lane: Value) -> Value:
        return smaller(lane, o.select(row.load(x, index, mask) == m, row.columns(index), o.splat(none)))

    first = row.fold(INFINITY, step, smaller)
    return one.select(first < none, first, none)


def _equal(row: Row, a: Value, b: Value) -> Value:
    return row.f.scalar.select(a == b, 1.0, 0.0)


def _binary_accuracy(row: Row, a: Arguments) -> None:
    o = row.o

    def step(i: Integer, k: Mask, lane: Value) -> Value:
        guess = o.select(row.load(a.A, i, k) > 0.5, 1.0, 0.0)
        return lane + o.select(guess == row.load(a.Y, i, k), 1.0, 0.0)

    a.r[0] = row.mean(row.sum(step))


def _categorical_accuracy(row: Row, a: Arguments) -> None:
    a.r[0] = _equal(row, _argmax(row, a.A), _argmax(row, a.Y))


def _sparse_categorical_accuracy(row: Row, a: Arguments) -> None:
    a.r[0] = _equal(row, _argmax(row, a.A), a.Y[0])


# The code is the number among ROW_METRICS.
accuracy = choose_by_rows(
    "accuracy",
    "*r ldr *A ldA *Y ldY rows columns",
    [_binary_accuracy, _categorical_accuracy, _sparse_categorical_accuracy],
)


@kernel("float64*sums *A ldA *Y ldY *weights stride rows columns")
def r2_sums(f: Frame, a: Arguments) -> None:
    """sums (3 C + 1): sum w y, sum w y^2, sum w (y - a)^2 by output in row order, then the sum of w; weights may be
    address 0: ones."""
    wide = Lanes(f.builder, "float64", None)
    count = a.sums + a.columns * 3

    def add(x: Value, y: Value, part: int, column: Integer) -> None:
        """Adds x y to a sum, rounded once."""
        place = a.sums + (a.columns * part + column)
        place[0] = wide.fma(x, y, place[0])

    weighted = a.weights != 0
    weight = f.variable(wide.constant(1.0))
    with f.loop(a.rows) as row:
        with f.when(weighted):
            weight.value = wide.convert(a.weights[row * a.stride])
        w = weight.value
        with f.loop(a.columns) as column:
            x, y = wide.convert(a.A[row * a.ldA + column]), wide.convert(a.Y[row * a.ldY + column])
            d = y - x
            add(w, y, 0, column)
            add(w * y, y, 1, column)
            add(w * d, d, 2, column)
        count[0] = count[0] + w
