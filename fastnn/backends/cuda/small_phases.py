"""The phases of a step of `small.py`, each a function of the device that is written into the kernel: all threads come
to it, and take elements or rows in turn."""

from __future__ import annotations

from typing import Any

from ...core import arithmetic as ar
from ...core import formulas as fo
from ...core.arithmetic import K_CHUNK, LANES
from .chains import Layer
from .compiler import cuda
from .intrinsics import folds, stores, traced
from .small_tools import Tools, activations_of, losses_of, update_of
from .templates import quotient

_INPUTS, _OUTPUTS, _KERNEL, _BIAS, _ACTIVATION, _SOURCE, _OUTPUT, _GRADIENT, *_REST = map(int, Layer)
_SOURCE_GRADIENT, _KERNEL_DECAYS, _BIAS_DECAYS = _REST
_WIDTH = len(Layer)


def loading(t: Tools) -> Any:
    """theta and its slots, into the room."""
    put, element = t.put, t.element

    @cuda.jit(device=True, inline="always")
    def load_all(room, vectors, size, thread, threads):  # type: ignore[no-untyped-def]
        theta, slot_0, slot_1, slot_2 = vectors
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

    return load_all


def storing(t: Tools) -> Any:
    """theta and its slots, from the room."""
    get, store = t.get, stores(t.dtype)

    @cuda.jit(device=True, inline="always")
    def store_all(room, vectors, size, thread, threads):  # type: ignore[no-untyped-def]
        theta, slot_0, slot_1, slot_2 = vectors
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

    return store_all


def gathering(t: Tools) -> Any:
    """The rows of a step from `first` on: inputs, weights, which are 1 if there are none, targets."""
    put, integer, element, one = t.put, t.integer, t.element, t.one

    @cuda.jit(device=True, inline="always")
    def gather(room, data, places, y_width, first, rows, thread, threads):  # type: ignore[no-untyped-def]
        table, X, Y, W, order = data
        at_w, at_y, _, _ = places
        inputs, at_x = integer(table, _INPUTS), integer(table, _SOURCE)
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

    return gather


def forward_pass(t: Tools) -> Any:
    """A = f(X W + b), a layer after another."""
    get, put, meet, integer = t.get, t.put, t.meet, t.integer
    fma, add, zero, minus_zero = t.fma, t.add, t.zero, t.minus_zero
    activated, _ = activations_of(t.dtype)

    @cuda.jit(device=True, inline="always")
    def forward(room, counter, turn, table, layers, rows, thread, threads):  # type: ignore[no-untyped-def]
        layer = 0
        while layer < layers:
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
        return turn

    return forward


def softmax_row(t: Tools) -> Any:
    """A row of the softmax, its crossentropy of a class and the gradient of that; whether the class has the largest
    probability. 16 threads, which are the lanes; all threads of a warp come to each fold."""
    dtype, get, put, real = t.dtype, t.get, t.put, t.real
    zero, lowest, fold_sum = t.zero, t.lowest, t.fold_sum
    fold_largest = folds(lambda o, a, b: o.select(b > a, b, a), dtype)
    fold_least = folds(lambda o, a, b: o.select(b < a, b, a), dtype)
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
    same = traced(lambda o, a, b: o.select(a == b, 1.0, o.constant(0.0)), dtype, 2)

    @cuda.jit(device=True, inline="always")
    def row_of_softmax(room, at, gradient_at, right_at, y, s, end, C, lane):  # type: ignore[no-untyped-def]
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
            put(room, gradient_at + column, class_slope(q, real(column), y, s))
            best = larger(q, best)
            column += LANES
        lost, best = fold_sum(lost), fold_largest(best)
        guess, column = real(C), lane + 0
        while column < end:
            guess = first_of(guess, get(room, at + column), best, real(column), real(C))
            column += LANES
        guess = fold_least(guess)
        if lane == 0 and end > 0:
            put(room, right_at, same(guess, y))
        return lost

    return row_of_softmax


def error_row(t: Tools) -> Any:
    """A row of the loss by element of a code, and its gradient."""
    dtype, get, put, zero, multiply = t.dtype, t.get, t.put, t.zero, t.multiply
    fold_sum, inverse = t.fold_sum, t.inverse
    add_error, error_slope = losses_of(dtype)

    @cuda.jit(device=True, inline="always")
    def row_of_errors(room, at, gradient_at, y_at, s, loss, end, C, lane):  # type: ignore[no-untyped-def]
        lost, column = zero(), lane + 0
        while column < end:
            a, y = get(room, at + column), get(room, y_at + column)
            lost = add_error(lost, a, y, loss)
            put(room, gradient_at + column, error_slope(a, y, s, loss))
            column += LANES
        return multiply(fold_sum(lost), inverse(C))

    return row_of_errors


def losses(t: Tools, classes: bool) -> Any:
    """The loss of each row, its gradient and what the metric says: 16 threads a row."""
    get, put, integer, zero, multiply = t.get, t.put, t.integer, t.zero, t.multiply
    by_softmax, by_errors, has_softmax = softmax_row(t), error_row(t), int(classes)

    @cuda.jit(device=True, inline="always")
    def loss_phase(room, table, layers, places, share, loss, rows, lane, group, groups):  # type: ignore[no-untyped-def]
        at_w, at_y, at_l, at_r = places
        entry = (layers - 1) * _WIDTH
        C, output = integer(table, entry + _OUTPUTS), integer(table, entry + _OUTPUT)
        gradient = integer(table, entry + _GRADIENT)
        base = 0
        while base < rows:
            row = base + group
            end = C if row < rows else 0
            at = output + row * C
            s = multiply(get(room, at_w + row), share) if end > 0 else zero()
            if has_softmax > 0:
                y = get(room, at_y + row) if end > 0 else zero()
                lost = by_softmax(room, at, gradient + row * C, at_r + row, y, s, end, C, lane)
            else:
                lost = by_errors(room, at, gradient + row * C, at_y + row * C, s, loss, end, C, lane)
            if lane == 0 and end > 0:
                put(room, at_l + row, lost)
            base += groups

    return loss_phase


def totals(t: Tools) -> Any:
    """The sums of the losses and of the metric, in row order: a thread each."""
    get, wide, fma_total, add_total, store_total = t.get, t.wide, t.fma_total, t.add_total, stores("float64")

    @cuda.jit(device=True, inline="always")
    def total_phase(room, totals, place, metrics, places, rows, thread, threads):  # type: ignore[no-untyped-def]
        at_w, _, at_l, at_r = places
        _, metric, weighted = metrics
        if thread == 0:
            made, row = 0.0, 0
            while row < rows:
                made = fma_total(wide(get(room, at_w + row)), wide(get(room, at_l + row)), made)
                row += 1
            store_total(totals, place, made)
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
            store_total(totals, place + metric, made)
            if weighted != 0:
                store_total(totals, place + metric + 1, sum_of_weights)

    return total_phase


def backward_pass(t: Tools) -> Any:
    """dX = f'(A) (dZ W^T), a layer before another."""
    get, put, meet, integer = t.get, t.put, t.meet, t.integer
    fma, add, zero, minus_zero = t.fma, t.add, t.zero, t.minus_zero
    _, slope = activations_of(t.dtype)

    @cuda.jit(device=True, inline="always")
    def backward(room, counter, turn, table, layers, rows, thread, threads):  # type: ignore[no-untyped-def]
        layer = layers - 1
        while layer > 0:
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
        return turn

    return backward


def updates(t: Tools) -> Any:
    """Each thread: a parameter's gradient over the batch, within the limit, then weight decay and its step."""
    get, put, integer, element = t.get, t.put, t.integer, t.element
    fma, add, zero, minus_zero = t.fma, t.add, t.zero, t.minus_zero
    update = update_of(t.dtype, t.pointer)
    within = traced(lambda o, g, limit: ar.clip(o, g, -limit, limit), t.dtype, 2)
    decayed = traced(fo.decay, t.dtype, 2)

    @cuda.jit(device=True, inline="always")
    def update_phase(room, table, layers, size, stepping, limit, rows, thread, threads):  # type: ignore[no-untyped-def]
        scalars, decays, step, optimizer, limited = stepping
        layer = 0
        while layer < layers:
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
                            chunk = fma(get(room, source + row * I + i), get(room, gradient + row * O + column), chunk)
                            row += 1
                    else:
                        while row < end:
                            chunk = add(chunk, get(room, gradient + row * O + column))
                            row += 1
                    total = add(total, chunk)
                    go_on = row < rows
                place = kernel_at + e if i < I else bias_at + column
                if limited != 0:
                    total = within(total, limit)
                if integer(table, entry + (_KERNEL_DECAYS if i < I else _BIAS_DECAYS)) != 0:
                    put(room, place, decayed(get(room, place), element(decays, step)))
                update(room, place, size, total, scalars, step, optimizer)
                e += threads
            layer += 1

    return update_phase
