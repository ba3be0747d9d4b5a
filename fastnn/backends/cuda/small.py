"""A whole slice of steps of a small network in one launch: by one block, in whose shared memory theta, slots and a
batch lie; or by a grid with a barrier of its own, for those that do not fit there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...core import arithmetic as ar
from ...core import formulas as fo
from ...core.arithmetic import K_CHUNK, LANES
from ...core.losses import LOSSES as LOSS_FORMULAS
from ...core.steps import OPTIMIZERS, Optimizer
from .chains import ACTIVATIONS, LOSSES, Layer
from .compiler import cuda, emits, repeated
from .geometry import THREADS
from .intrinsics import converts, folds, load, loads, offset, stores, traced
from .scalars import FLOATS, I64, ITEMSIZE, Scalars
from .spaces import space
from .templates import LANE_BITS, Source, quotient

_INPUTS, _OUTPUTS, _KERNEL, _BIAS, _ACTIVATION, _SOURCE, _OUTPUT, _GRADIENT, *_REST = map(int, Layer)
_SOURCE_GRADIENT, _KERNEL_DECAYS, _BIAS_DECAYS = _REST
_WIDTH = len(Layer)
ADDRESSES, NUMBERS, REALS = 15, 16, 3  # of the arguments


def _numbers(dtype: str) -> tuple[Any, Any]:
    """Intrinsics from an integer to the number, and to 1 by it, each rounded once."""

    @emits(dtype, 1)
    def real(builder: Any, integer: Any) -> Any:
        return Scalars(builder, dtype).real(integer).ir

    @emits(dtype, 1)
    def inverse(builder: Any, integer: Any) -> Any:
        wide = Scalars(builder, "float64")
        return Scalars(builder, dtype).converted(1.0 / wide.real(integer)).ir

    return real, inverse


def _activations(dtype: str) -> tuple[Any, Any]:
    """Intrinsics (z, code) -> output and (gradient, output, code) -> that of z, of the activation of a code; of 0 there
    is none."""
    known = [None, *(fo.ACTIVATIONS[name] for name in ACTIVATIONS)]

    @emits(dtype, 2)
    def activated(builder: Any, z: Any, code: Any) -> Any:
        return _chosen(builder, dtype, code, known, lambda o, one, z: one.forward(o, z, None) if one else z, z)

    @emits(dtype, 3)
    def slope(builder: Any, d: Any, saved: Any, code: Any) -> Any:
        return _chosen(
            builder, dtype, code, known, lambda o, one, d, s: one.backward(o, d, s, None) if one else d, d, saved
        )

    return activated, slope


def _losses(dtype: str) -> tuple[Any, Any]:
    """Intrinsics (lane, prediction, target, code) -> lane and (prediction, target, scale, code) -> slope of the loss of
    a code."""
    known = [LOSS_FORMULAS[name] for name in LOSSES]

    @emits(dtype, 4)
    def add(builder: Any, lane: Any, a: Any, y: Any, code: Any) -> Any:
        return _chosen(
            builder, dtype, code, known, lambda o, one, lane, a, y: one.sums[0].step(o, lane, a, y, None), lane, a, y
        )

    @emits(dtype, 4)
    def slope(builder: Any, a: Any, y: Any, scale: Any, code: Any) -> Any:
        return _chosen(builder, dtype, code, known, lambda o, one, a, y, s: one.slope(o, a, y, None) * s, a, y, scale)

    return add, slope


def _kept(builder: Any, value: Any) -> Any:
    """A variable of the kernel, which begins as a value. It is declared where the kernel begins: elsewhere NVVM would
    keep it in memory."""
    with builder.goto_entry_block():
        place = builder.alloca(value.type)
    builder.store(value, place)
    return place


def _chosen(builder: Any, dtype: str, code: Any, known: Sequence[Any], formula: Any, *values: Any) -> Any:
    """What the known of a code makes of values, in a branch of its own."""
    o = Scalars(builder, dtype)
    kept = _kept(builder, o.constant(0.0).ir)
    for number, one in enumerate(known):
        with builder.if_then(builder.icmp_signed("==", code, I64(number))):
            builder.store(o.coerce(formula(o, one, *map(o.value, values))), kept)
    return builder.load(kept)


def steps(dtype: str, classes: bool, grid: bool = False) -> Source:
    """All steps of a slice, for the loss of classes or those by element, by one block or by a `grid`.

    Arguments, in three tuples. Addresses of: the room that a grid works in, and the count of its barrier, which is 0;
    theta, the slots (three; 0: there is none), the table of layers, inputs, targets, weights (0: 1), the order (0: as
    they lie), the tables of the first rows of steps, of their scalars and of their decays, their totals. Numbers:
    layers, steps, rows of a batch, of all; float64 between the totals of steps; elements of theta; where in the room or
    in shared memory weights, targets, losses and values of the metric of each row begin; columns of a row of targets;
    -1 or the first total of the metric, 1 where it is weighted; the codes of the loss by element and of the optimizer,
    1 where gradients are limited. Floats: what the slope of a loss is multiplied by in a whole batch, and in the last;
    the limit.
    """
    get, put, pointer, meet, on_grid = space(dtype, grid)
    real, inverse = _numbers(dtype)
    activated, slope = _activations(dtype)
    update = _update(dtype, pointer)
    fold_sum = folds(lambda o, a, b: a + b, dtype)
    fold_largest = folds(lambda o, a, b: o.select(b > a, b, a), dtype)
    fold_least = folds(lambda o, a, b: o.select(b < a, b, a), dtype)
    integer, element, wide = loads("integer"), loads(dtype), converts(dtype, "float64")
    store, store_total = stores(dtype), stores("float64")
    has_softmax = int(classes)
    fma, fma_total = (traced(lambda o, a, b, c: o.fma(a, b, c), kind, 3) for kind in (dtype, "float64"))
    add, multiply = (traced(formula, dtype, 2) for formula in (lambda o, a, b: a + b, lambda o, a, b: a * b))
    add_total = traced(lambda o, a, b: a + b, "float64", 2)
    zero, one, minus_zero = (traced(lambda o, v=v: o.constant(v), dtype, 0) for v in (0.0, 1.0, -0.0))
    lowest = traced(lambda o: o.constant(-ar.INFINITY), dtype, 0)
    larger = traced(lambda o, x, lane: o.select(x > lane, x, lane), dtype, 2)
    add_exponential = traced(lambda o, lane, z, top: lane + ar.exp(o, z - top), dtype, 3)
    add_lost = traced(
        lambda o, lane, z, top, total, c, y: lane + o.select(c == y, ar.log(o, total) - (z - top), 0.0), dtype, 6
    )
    probability = traced(lambda o, z, top, total: ar.exp(o, z - top) * (1.0 / total), dtype, 3)
    class_slope = traced(lambda o, q, c, y, s: (q - o.select(c == y, 1.0, o.constant(0.0))) * s, dtype, 4)
    first_of = traced(
        lambda o, lane, q, top, c, columns: o.select(
            o.select(q == top, c, columns) < lane, o.select(q == top, c, columns), lane
        ),
        dtype,
        5,
    )
    within = traced(lambda o, g, limit: ar.clip(o, g, -limit, limit), dtype, 2)
    decayed = traced(fo.decay, dtype, 2)
    same = traced(lambda o, a, b: o.select(a == b, 1.0, o.constant(0.0)), dtype, 2)
    add_error, error_slope = _losses(dtype)

    def kernel(addresses, numbers, reals):  # type: ignore[no-untyped-def]
        room, counter, theta, slot_0, slot_1, slot_2, table, X, Y, W, order, firsts, scalars, decays, totals = addresses
        layers, count, batch, rows_of_all, apart, size, at_w, at_y, at_l, at_r = numbers[:10]
        y_width, metric, weighted, loss, optimizer, limited = numbers[10:]
        whole_share, last_share, limit = reals
        thread, threads, turn = cuda.threadIdx.x + 0, THREADS, 0
        if on_grid > 0:
            thread += cuda.blockIdx.x * THREADS
            threads *= cuda.gridDim.x
        lane, group, groups = thread & (LANES - 1), thread >> LANE_BITS, threads >> LANE_BITS
        inputs, at_x = integer(table, _INPUTS), integer(table, _SOURCE)
        e = thread + 0
        while e < size:
            put(room, e, element(theta, e))
            if slot_0 != 0:
                put(room, size + e, element(slot_0, e))
            if slot_1 != 0:
                put(room, 2 * size + e, element(slot_1, e))
            if slot_2 != 0:
                put(room, 3 * size + e, element(slot_2, e))
            e += threads
        step = 0
        while step < count:
            first = integer(firsts, step)
            rows = min(batch, rows_of_all - first)
            share = whole_share if rows == batch else last_share
            e = thread + 0
            while e < rows * inputs:  # the rows of the step
                row = quotient(e, inputs)
                place = first + row
                if order != 0:
                    place = integer(order, place)
                put(room, at_x + e, element(X, place * inputs + (e - row * inputs)))
                e += threads
            e = thread + 0
            while e < rows:
                place = first + e
                if order != 0:
                    place = integer(order, place)
                put(room, at_w + e, element(W, place) if W != 0 else one())
                column = 0
                while column < y_width:
                    put(room, at_y + e * y_width + column, element(Y, place * y_width + column))
                    column += 1
                e += threads
            turn = meet(counter, turn)
            layer = 0
            while layer < layers:  # A = f(X W + b)
                entry = layer * _WIDTH
                I, O = integer(table, entry + _INPUTS), integer(table, entry + _OUTPUTS)  # noqa: E741
                kernel_at, bias_at = integer(table, entry + _KERNEL), integer(table, entry + _BIAS)
                source, output = integer(table, entry + _SOURCE), integer(table, entry + _OUTPUT)
                code = integer(table, entry + _ACTIVATION)
                e = thread + 0
                while e < rows * O:
                    row = quotient(e, O)
                    column = e - row * O
                    total, k, go_on = minus_zero(), 0, True
                    while go_on:
                        end, chunk = min(k + K_CHUNK, I), zero()
                        while k < end:
                            chunk = fma(get(room, source + row * I + k), get(room, kernel_at + k * O + column), chunk)
                            k += 1
                        total = add(total, chunk)
                        go_on = k < I
                    if bias_at >= 0:
                        total = add(total, get(room, bias_at + column))
                    put(room, output + e, activated(total, code))
                    e += threads
                turn = meet(counter, turn)
                layer += 1
            entry = (layers - 1) * _WIDTH
            C, output = integer(table, entry + _OUTPUTS), integer(table, entry + _OUTPUT)
            gradient = integer(table, entry + _GRADIENT)
            base = 0
            while base < rows:  # the loss: 16 threads a row; all threads of a warp come to each fold
                row = base + group
                end = C if row < rows else 0
                at = output + row * C
                s = multiply(get(room, at_w + row), share) if end > 0 else zero()
                if has_softmax > 0:
                    y = get(room, at_y + row) if end > 0 else zero()
                    top, column = lowest(), lane + 0
                    while column < end:
                        top = larger(get(room, at + column), top)
                        column += LANES
                    top = fold_largest(top)
                    total, column = zero(), lane + 0
                    while column < end:
                        total = add_exponential(total, get(room, at + column), top)
                        column += LANES
                    total = fold_sum(total)
                    lost, best, column = zero(), lowest(), lane + 0
                    while column < end:
                        z = get(room, at + column)
                        lost = add_lost(lost, z, top, total, real(column), y)
                        q = probability(z, top, total)
                        put(room, at + column, q)
                        put(room, gradient + row * C + column, class_slope(q, real(column), y, s))
                        best = larger(q, best)
                        column += LANES
                    lost, best = fold_sum(lost), fold_largest(best)
                    found, column = real(C), lane + 0
                    while column < end:
                        found = first_of(found, get(room, at + column), best, real(column), real(C))
                        column += LANES
                    found = fold_least(found)
                    if lane == 0 and end > 0:
                        put(room, at_r + row, same(found, y))
                else:
                    lost, column = zero(), lane + 0
                    while column < end:
                        a, t = get(room, at + column), get(room, at_y + row * C + column)
                        lost = add_error(lost, a, t, loss)
                        put(room, gradient + row * C + column, error_slope(a, t, s, loss))
                        column += LANES
                    lost = multiply(fold_sum(lost), inverse(C))
                if lane == 0 and end > 0:
                    put(room, at_l + row, lost)
                base += groups
            turn = meet(counter, turn)
            if thread == 0:  # totals in row order
                made, row = 0.0, 0
                while row < rows:
                    made = fma_total(wide(get(room, at_w + row)), wide(get(room, at_l + row)), made)
                    row += 1
                store_total(totals, step * apart, made)
            if thread == threads - 1 and metric >= 0:
                made, sum_of_weights, row = 0.0, 0.0, 0
                while row < rows:
                    if weighted != 0:
                        w = wide(get(room, at_w + row))
                        made = fma_total(w, wide(get(room, at_r + row)), made)
                        sum_of_weights = add_total(sum_of_weights, w)
                    else:  # an fma by 1, of which NVVM would make a bare add
                        made = add_total(made, wide(get(room, at_r + row)))
                    row += 1
                store_total(totals, step * apart + metric, made)
                if weighted != 0:
                    store_total(totals, step * apart + metric + 1, sum_of_weights)
            layer = layers - 1
            while layer > 0:  # dX = f'(A) (dZ W^T)
                entry = layer * _WIDTH
                I, O = integer(table, entry + _INPUTS), integer(table, entry + _OUTPUTS)  # noqa: E741
                kernel_at, source = integer(table, entry + _KERNEL), integer(table, entry + _SOURCE)
                gradient, into = integer(table, entry + _GRADIENT), integer(table, entry + _SOURCE_GRADIENT)
                code = integer(table, entry - _WIDTH + _ACTIVATION)
                e = thread + 0
                while e < rows * I:
                    row = quotient(e, I)
                    column = e - row * I
                    total, k, go_on = minus_zero(), 0, True
                    while go_on:
                        end, chunk = min(k + K_CHUNK, O), zero()
                        while k < end:
                            chunk = fma(get(room, gradient + row * O + k), get(room, kernel_at + column * O + k), chunk)
                            k += 1
                        total = add(total, chunk)
                        go_on = k < O
                    put(room, into + e, slope(total, get(room, source + e), code))
                    e += threads
                turn = meet(counter, turn)
                layer -= 1
            layer = 0
            while layer < layers:  # each thread: a parameter's gradient over the batch, then its step
                entry = layer * _WIDTH
                I, O = integer(table, entry + _INPUTS), integer(table, entry + _OUTPUTS)  # noqa: E741
                kernel_at, bias_at = integer(table, entry + _KERNEL), integer(table, entry + _BIAS)
                source, gradient = integer(table, entry + _SOURCE), integer(table, entry + _GRADIENT)
                e = thread + 0
                while e < (I + (1 if bias_at >= 0 else 0)) * O:
                    i = quotient(e, O)
                    column = e - i * O
                    total, row, go_on = minus_zero(), 0, True
                    while go_on:
                        end, chunk = min(row + K_CHUNK, rows), zero()
                        if i < I:
                            while row < end:
                                chunk = fma(
                                    get(room, source + row * I + i), get(room, gradient + row * O + column), chunk
                                )
                                row += 1
                        else:
                            while row < end:
                                chunk = add(chunk, get(room, gradient + row * O + column))
                                row += 1
                        total = add(total, chunk)
                        go_on = row < rows
                    place = kernel_at + e if i < I else bias_at + column
                    decaying = integer(table, entry + (_KERNEL_DECAYS if i < I else _BIAS_DECAYS))
                    if limited != 0:
                        total = within(total, limit)
                    if decaying != 0:
                        put(room, place, decayed(get(room, place), element(decays, step)))
                    update(room, place, size, total, scalars, step, optimizer)
                    e += threads
                layer += 1
            turn = meet(counter, turn)
            step += 1
        e = thread + 0
        while e < size:
            store(theta, e, get(room, e))
            if slot_0 != 0:
                store(slot_0, e, get(room, size + e))
            if slot_1 != 0:
                store(slot_1, e, get(room, 2 * size + e))
            if slot_2 != 0:
                store(slot_2, e, get(room, 3 * size + e))
            e += threads

    arguments = repeated("address", ADDRESSES), repeated("integer", NUMBERS), repeated(dtype, REALS)
    return Source(kernel, arguments, (THREADS, 1))


def _update(dtype: str, pointer: Callable[..., Any]) -> Any:
    """An intrinsic (room, element, size, gradient, table of scalars, step, code): a step of one parameter by the
    optimizer of a code."""
    size = ITEMSIZE[dtype]

    def step_of(builder: Any, optimizer: Optimizer, places: list[Any], gradient: Any, table: Any, step: Any) -> None:
        o, count = Scalars(builder, dtype), len(optimizer.scalars)
        row = builder.mul(step, I64(count))
        values = tuple(
            o.value(load(builder, offset(builder, table, builder.add(row, I64(number)), size), o.type))
            for number in range(count)
        )
        theta, *old = (o.value(builder.load(one, align=size)) for one in places)
        theta, new = optimizer.step(o, theta, tuple(old), o.value(gradient), values)
        for one, value in zip(places, (theta, *new), strict=True):
            builder.store(o.coerce(value), one, align=size)

    @emits("nothing", 7)
    def update(
        builder: Any, room: Any, element: Any, whole: Any, gradient: Any, table: Any, step: Any, code: Any
    ) -> None:
        for number, optimizer in enumerate(OPTIMIZERS.values()):
            with builder.if_then(builder.icmp_signed("==", code, I64(number))):
                places = [
                    pointer(builder, room, builder.add(element, builder.mul(whole, I64(slot))), FLOATS[dtype])
                    for slot in range(1 + len(optimizer.slots))
                ]
                step_of(builder, optimizer, places, gradient, table, step)

    return update
