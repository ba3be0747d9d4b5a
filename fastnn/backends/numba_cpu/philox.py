"""Philox4x32-10 on vectors of 16 counters, as `fastnn/core/random.py` defines it: dropout, noise, the shuffle of an
epoch.

A dropout mask is a function of (seed, step, layer, element). In a step the forward pass leaves it for the backward
pass, a bit an element: ten rounds of products cost more than a bit's way through the cache.
"""

from __future__ import annotations

import numpy as np

from ...core.random import MULTIPLIERS, ROUNDS, WEYL, Purpose
from .declare import Arguments, kernel
from .frame import Frame
from .integers import Integer, Pointer
from .jit import device
from .lanes import LANES, Unsigned, Value
from .memory import itemsize, real

GROUP = 64  # elements of one vector of counters: four words of 16 lanes


def _philox(counter: list[Unsigned], key: list[Unsigned]) -> list[Unsigned]:
    """Philox4x32-10 on a vector of counters, as `random.philox4x32`.

    A word is the low half of a 64-bit lane whose high half is anything: a product of low halves is one instruction, and
    its two words need not be parted.
    """

    def product(x: Unsigned, multiplier: int) -> tuple[Unsigned, Unsigned]:
        full = (x & 2**32 - 1) * multiplier
        return full >> 32, full

    counter, key = ([word.to(64) for word in words] for words in (counter, key))
    for part in range(ROUNDS):
        high_0, low_0 = product(counter[0], MULTIPLIERS[0])
        high_2, low_2 = product(counter[2], MULTIPLIERS[1])
        keys = [key[i] + WEYL[i] * part % 2**32 for i in range(2)]
        counter = [high_2 ^ counter[1] ^ keys[0], low_2, high_0 ^ counter[3] ^ keys[1], low_0]
    return [words.to(32) for words in counter]


def _words(f: Frame, block: Integer, seed: Integer, purpose: Purpose, step: Integer, layer: Integer) -> list[Unsigned]:
    """The four vectors of words of blocks `block` ... `block` + 15: 64 consecutive elements."""

    def low(value: Integer) -> Unsigned:
        return value.unsigned(f.scalar).to(32)

    splat = f.lanes.splat
    key = [splat(low(seed)), splat(low(seed >> 32))]
    c0 = splat(low(block)) + f.lanes.numbers(32)
    c1 = low(layer) | low(block >> 32) << 16
    c3 = low(step >> 32) << 8 | int(purpose)
    return _philox([c0, splat(c1), splat(low(step)), splat(c3)], key)


def _keep(f: Frame, a: Arguments, index: Integer, keep: Value, scale: Value) -> None:
    """Elements index..index + 15 of a row, below n: kept and scaled, or +0."""
    mask = f.mask(a.n - index)
    x = f.lanes.select(keep, (a.src + index).load(mask) * scale, 0.0)
    (a.dst + index).store(x, mask)


def _bits(masks: Pointer, index: Integer) -> Pointer:
    """Where the bits of elements index..index + 15 of a row are."""
    return (masks + (index >> 3)).cast("uint16")


@kernel("*dst *src uint8*masks n start seed step layer threshold; scale")
def dropout_row(f: Frame, a: Arguments) -> None:
    """One row, which leaves its mask where `masks` is not 0; `start`, its first element, is a multiple of 64."""
    limit = f.lanes.splat(a.threshold.unsigned(f.scalar).to(32))
    scale, leaves = f.lanes.splat(a.scale), a.masks != 0
    with f.loop(a.n, GROUP) as column:
        block = (a.start + column) >> 2
        for part, words in enumerate(_words(f, block, a.seed, Purpose.DROPOUT, a.step, a.layer)):
            index = column + part * LANES
            with f.when(index < a.n):
                keep = words >= limit
                with f.when(leaves):
                    _bits(a.masks, index)[0] = keep.packed()
                _keep(f, a, index, keep, scale)


@device
def dropout_scalars(rate):
    """(threshold, scale): an element is kept iff its 32 bits are at least the threshold."""
    threshold = np.floor(rate * 4294967296.0 + 0.5)
    return int(min(threshold, 4294967295.0)), 1.0 / (1.0 - rate)


@device
def dropout_rows(dtype, dst, ldd, src, lds, masks, ldm, first, last, width, rate, key):
    """Rows first..last - 1 of a dropout; addresses are those of row `first`. The masks of rows go to `masks`, ldm bytes
    apart, unless it is 0. The key is (seed, step, layer)."""
    threshold, scale = dropout_scalars(rate)
    seed, step, layer = key
    stride, size = (width + 63) & -64, itemsize(dtype)
    for row in range(first, last):
        offset = row - first
        to, of, mask = dst + offset * ldd * size, src + offset * lds * size, masks + offset * ldm
        dropout_row(dtype, to, of, mask, width, row * stride, seed, step, layer, threshold, real(dtype, scale))


@kernel("*dst n start seed step layer; unit")
def uniform_row(f: Frame, a: Arguments) -> None:
    """One row of odd multiples of `unit`, 2^-23; `start`, its first element, is a multiple of 64."""
    unit = f.lanes.splat(a.unit)
    with f.loop(a.n, GROUP) as column:
        words = _words(f, (a.start + column) >> 2, a.seed, Purpose.NOISE, a.step, a.layer)
        for part, vector in enumerate(words):
            index = column + part * LANES
            with f.when(index < a.n):
                (a.dst + index).store((f.lanes.whole(vector >> 9) * 2.0 - 8388607.0) * unit, f.mask(a.n - index))


@device
def uniform_rows(dtype, dst, ldd, first, last, width, key):
    """Rows first..last - 1 of random numbers from -1 to 1; the address is that of row `first`. The key is (seed, step,
    layer)."""
    seed, step, layer = key
    stride, size = (width + 63) & -64, itemsize(dtype)
    for row in range(first, last):
        to = dst + (row - first) * ldd * size
        uniform_row(dtype, to, width, row * stride, seed, step, layer, real(dtype, 2.0**-23))


@kernel("*dst *src uint8*masks n; scale")
def dropout_again(f: Frame, a: Arguments) -> None:
    """One row, by the mask that it left."""
    scale = f.lanes.splat(a.scale)
    with f.loop(a.n, LANES) as index:
        _keep(f, a, index, _bits(a.masks, index)[0].unpacked(f.lanes), scale)


@kernel("int64*order n seed epoch")
def shuffle(f: Frame, a: Arguments) -> None:
    """Fisher-Yates from the end, as `random.permutation`: element i swaps with mulhi64(its 64-bit number, i + 1)."""
    order, draws = a.order, GROUP // 2
    words = f.scratch(GROUP, "uint32")
    with f.loop(a.n) as i:
        order[i] = i
    groups = (a.n + (draws - 1)) // draws
    with f.loop(groups) as done:
        group = groups - 1 - done
        made = _words(f, group * LANES, a.seed, Purpose.SHUFFLE, a.epoch, f.integer(0))
        for part, vector in enumerate(made):
            (words + part * LANES).store(vector)
        with f.loop(draws) as back:
            draw = draws - 1 - back
            i = group * draws + draw
            with f.when((i < a.n) & (i > 0), likely=True):
                high, low = ((words + draw * 2)[half].to(64) for half in range(2))
                product = (high << 32 | low).to(128) * (i + 1).unsigned(f.scalar).to(128)
                j = Integer(f.builder, (product >> 64).to(64).ir)
                swapped, other = order[i], order[j]
                order[j] = swapped
                order[i] = other
