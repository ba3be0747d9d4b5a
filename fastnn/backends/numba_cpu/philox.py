"""Philox4x32-10 on vectors of 16 counters, as `fastnn/core/random.py` defines it: dropout, and the shuffle of an epoch.

A dropout mask is a function of (seed, step, layer, element). In a step the forward pass leaves it for the backward
pass, a bit an element: ten rounds of products cost more than a bit's way through the cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from ...core.random import MULTIPLIERS, ROUNDS, WEYL, Purpose
from .frame import Frame, kernel
from .lanes import I1, I32, I64, LANES, Value, splat

_NARROW, _WIDE = ir.VectorType(I32, LANES), ir.VectorType(I64, LANES)
_CONDITION, _BITS = ir.VectorType(I1, LANES), ir.IntType(LANES)
GROUP = 64  # elements of one vector of counters: four words of 16 lanes


def _philox(builder: Any, counter: list[Any], key: list[Any]) -> list[Any]:
    """Philox4x32-10 on a vector of counters, as `random.philox4x32`.

    A word is the low half of a 64-bit lane whose high half is anything: a product of low halves is one instruction, and
    its two words need not be parted.
    """

    def wide(word: int) -> Any:
        return ir.Constant(_WIDE, [word % 2**32] * LANES)

    def product(x: Any, multiplier: int) -> tuple[Any, Any]:
        full = builder.mul(builder.and_(x, wide(2**32 - 1)), wide(multiplier))
        return builder.lshr(full, wide(32)), full

    counter, key = ([builder.zext(word, _WIDE) for word in words] for words in (counter, key))
    for number in range(ROUNDS):
        high_0, low_0 = product(counter[0], MULTIPLIERS[0])
        high_2, low_2 = product(counter[2], MULTIPLIERS[1])
        keys = [builder.add(key[i], wide(WEYL[i] * number)) for i in range(2)]
        counter = [
            builder.xor(builder.xor(high_2, counter[1]), keys[0]),
            low_2,
            builder.xor(builder.xor(high_0, counter[3]), keys[1]),
            low_0,
        ]
    return [builder.trunc(words, _NARROW) for words in counter]


def _word(builder: Any, value: Any, shift: int = 0) -> Any:
    return builder.trunc(builder.lshr(value, I64(shift)) if shift else value, I32)


def _words(builder: Any, block: Any, seed: Any, purpose: Purpose, step: Any, layer: Any) -> list[Any]:
    """The four vectors of words of blocks `block` ... `block` + 15: 64 consecutive elements."""
    key = [splat(builder, _word(builder, seed, shift), LANES) for shift in (0, 32)]
    lane = ir.Constant(_NARROW, list(range(LANES)))
    c0 = builder.add(splat(builder, _word(builder, block), LANES), lane)
    c1 = builder.or_(_word(builder, layer), builder.shl(_word(builder, block, 32), I32(16)))
    c3 = builder.or_(I32(int(purpose)), builder.shl(_word(builder, step, 32), I32(8)))
    counter = [c0, splat(builder, c1, LANES), splat(builder, _word(builder, step), LANES), splat(builder, c3, LANES)]
    return _philox(builder, counter, key)


def _keep(f: Frame, dst: Any, src: Any, n: Any, index: Any, kept: Any, factor: Any) -> None:
    """Elements index..index + 15 of a row, below n: kept and scaled, or +0."""
    mask = f.mask(f.builder.sub(n, index))
    x = f.load(f.at(src, index), mask)
    f.store(f.lanes.select(Value(f.lanes, kept), x * factor, f.lanes.constant(0.0)), f.at(dst, index), mask)


def _kept_at(f: Frame, masks: Any, index: Any) -> Any:
    """Where the bits of elements index..index + 15 of a row are."""
    return f.pointer(f.builder.add(masks, f.builder.lshr(index, I64(3))), _BITS)


def _dropout(
    f: Frame,
    dst: Any,
    src: Any,
    masks: Any,
    n: Any,
    start: Any,
    seed: Any,
    step: Any,
    layer: Any,
    threshold: Any,
    scale: Any,
) -> None:
    builder = f.builder
    limit, factor = splat(builder, _word(builder, threshold), LANES), f.lanes.splat(scale)
    leaves = builder.icmp_signed("!=", masks, I64(0))
    with f.loop(n, GROUP) as column:
        block = builder.lshr(builder.add(start, column), I64(2))
        for number, words in enumerate(_words(builder, block, seed, Purpose.DROPOUT, step, layer)):
            index = builder.add(column, I64(number * LANES))
            with builder.if_then(builder.icmp_signed("<", index, n)):
                kept = builder.icmp_unsigned(">=", words, limit)
                with builder.if_then(leaves):
                    builder.store(builder.bitcast(kept, _BITS), _kept_at(f, masks, index), align=2)
                _keep(f, dst, src, n, index, kept, factor)


# dropout_row(zero, A, Z, masks or 0, n, first element, seed, step, layer, threshold, scale): one row, which leaves its
# mask; the first element is a multiple of 64
dropout_row = kernel("dropout_row", 9, 1, _dropout)


def _dropout_again(f: Frame, dst: Any, src: Any, masks: Any, n: Any, scale: Any) -> None:
    factor = f.lanes.splat(scale)
    with f.loop(n, LANES) as index:
        bits = f.builder.load(_kept_at(f, masks, index), align=2)
        _keep(f, dst, src, n, index, f.builder.bitcast(bits, _CONDITION), factor)


# dropout_again(zero, dZ, dA, masks, n, scale): one row, by the mask that it left
dropout_again = kernel("dropout_again", 4, 1, _dropout_again)


def _shuffle(f: Frame, order: Any, n: Any, seed: Any, epoch: Any) -> None:
    """Fisher-Yates from the end: element i swaps with mulhi64(its 64-bit number, i + 1)."""
    builder = f.builder
    wide = ir.IntType(128)
    scratch = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(32), GROUP))
    base = builder.ptrtoint(scratch, I64)
    draws = GROUP // 2

    def entry(index: Any) -> Any:
        return f.pointer(f.at(order, index, 8), I64)

    with f.loop(n) as index:
        builder.store(index, entry(index))
    groups = builder.sdiv(builder.add(n, I64(draws - 1)), I64(draws))
    with f.loop(groups) as done:
        group = builder.sub(builder.sub(groups, I64(1)), done)
        block = builder.mul(group, I64(LANES))
        for number, words in enumerate(_words(builder, block, seed, Purpose.SHUFFLE, epoch, I64(0))):
            builder.store(words, f.pointer(builder.add(base, I64(number * LANES * 4)), _NARROW), align=4)
        with f.loop(I64(draws)) as back:
            offset = builder.sub(I64(draws - 1), back)
            i = builder.add(builder.mul(group, I64(draws)), offset)
            inside = builder.and_(builder.icmp_signed("<", i, n), builder.icmp_signed(">", i, I64(0)))
            with builder.if_then(inside, likely=True):
                at = f.at(base, builder.mul(offset, I64(2)), 4)
                high = builder.zext(builder.load(f.pointer(at, I32), align=4), I64)
                low = builder.zext(builder.load(f.pointer(builder.add(at, I64(4)), I32), align=4), I64)
                bits = builder.or_(builder.shl(high, I64(32)), low)
                product = builder.mul(builder.zext(bits, wide), builder.zext(builder.add(i, I64(1)), wide))
                j = builder.trunc(builder.lshr(product, wide(64)), I64)
                swapped = builder.load(entry(i)), builder.load(entry(j))
                builder.store(swapped[0], entry(j))
                builder.store(swapped[1], entry(i))


# shuffle(zero, order, n, seed, epoch): int64 order; as `random.permutation`
shuffle = kernel("shuffle", 4, 0, _shuffle)
