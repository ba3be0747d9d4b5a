"""Random numbers that are a function of what they are for: Philox4x32-10 and what is made from it, in NumPy.

A number is named by seed, purpose, step (or epoch), layer and element; there is no generator state. Elements are laid
out so that 16 consecutive counters give 64 consecutive elements as 4 vectors of 16: element e is word (e >> 4) & 3 of
block (e >> 6 << 4) | (e & 15). Other backends compute the same words from `counter` and `key`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]
Block = TypeVar("Block", int, npt.NDArray[np.int64])
Words = tuple[UInt32, UInt32, UInt32, UInt32]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)

_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)
_PIECE = 2**18  # blocks made at a time, which bounds the memory of the intermediate words


class Purpose(IntEnum):
    """What numbers are for, one byte of the counter; two purposes never share a number."""

    WEIGHTS = 1
    SHUFFLE = 2
    DROPOUT = 3
    SEED_SPLIT = 4
    HOLD_OUT = 5
    NOISE = 6
    ARRAYS = 7


def key(seed: int) -> tuple[int, int]:
    """The Philox key of a seed: its low and high 32 bits."""
    return seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF


def counter(purpose: int, step: int, layer: int, block: Block) -> tuple[Block, Block, int, int]:
    """The four counter words of a block of four 32-bit numbers.

    Math: c0 = block mod 2^32; c1 = layer mod 2^16 | (block >> 32 mod 2^16) << 16; c2 = step mod 2^32;
    c3 = purpose | (step >> 32 mod 2^24) << 8.

    Args:
        purpose: a `Purpose`.
        step: the step or epoch, below 2^56.
        layer: the layer's index, below 2^16.
        block: block number, below 2^48, an int or an int64 array.

    Returns:
        The words, each an int or an array as block is.
    """
    return (
        block & 0xFFFFFFFF,
        (layer & 0xFFFF) | (block >> 32 & 0xFFFF) << 16,
        step & 0xFFFFFFFF,
        (purpose & 0xFF) | (step >> 32 & 0xFFFFFF) << 8,
    )


def philox4x32(counters: tuple[object, object, object, object], keys: tuple[int, int]) -> Words:
    """Philox4x32 with 10 rounds.

    Args:
        counters: four arrays (or ints) below 2^32 that broadcast together.
        keys: two ints below 2^32.

    Returns:
        Four uint32 arrays.

    Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11.
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(c).astype(np.uint64) for c in counters))
    for i in range(ROUNDS):
        k0, k1 = (np.uint64((k + i * w) & 0xFFFFFFFF) for k, w in zip(keys, WEYL, strict=True))
        p0 = c0 * np.uint64(MULTIPLIERS[0])
        p1 = c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (p1 >> _HIGH) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HIGH) ^ c3 ^ k1, p0 & _LOW
    return c0.astype(np.uint32), c1.astype(np.uint32), c2.astype(np.uint32), c3.astype(np.uint32)


def bits32(seed: int, purpose: int, step: int, layer: int, n: int, start: int = 0) -> UInt32:
    """The 32-bit numbers of elements start to start + n.

    Args:
        seed: a 64-bit integer.
        purpose, step, layer: see `counter`.
        n: how many.
        start: the first element.

    Returns:
        (n,) uint32.
    """
    first, last = start >> 6 << 4, (start + n + 63) >> 6 << 4
    out = np.empty((last - first) * 4, np.uint32)
    for piece in range(first, last, _PIECE):
        end = min(piece + _PIECE, last)
        words = philox4x32(counter(purpose, step, layer, np.arange(piece, end, dtype=np.int64)), key(seed))
        grid = np.stack([w.reshape(-1, 16) for w in words], axis=1)
        out[(piece - first) * 4 : (end - first) * 4] = grid.reshape(-1)
    skip = start - (first << 2)
    return out[skip : skip + n]


def bits64(seed: int, purpose: int, step: int, layer: int, n: int, start: int = 0) -> UInt64:
    """The 64-bit numbers of elements start to start + n: element e is 32-bit elements 2e (high) and 2e + 1 (low)."""
    words = bits32(seed, purpose, step, layer, 2 * n, 2 * start).astype(np.uint64)
    return words[0::2] << _HIGH | words[1::2]


def uniform(
    seed: int, purpose: int, step: int, layer: int, n: int, dtype: npt.DTypeLike = "float64", start: int = 0
) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
    """Uniform numbers in [0, 1): the top 53 of 64 bits in float64, the top 24 of 32 bits in float32.

    Args:
        seed, purpose, step, layer, n, start: see `bits32`.
        dtype: "float32" or "float64".

    Returns:
        (n,) of the dtype.
    """
    if np.dtype(dtype) == np.float32:
        return (bits32(seed, purpose, step, layer, n, start) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return (bits64(seed, purpose, step, layer, n, start) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, n: int, purpose: int = Purpose.SHUFFLE) -> npt.NDArray[np.int64]:
    """The order of n rows in an epoch, by Fisher-Yates from the last row down.

    Math: for i = n - 1, ..., 1: swap rows i and floor(bits64[i] (i + 1) / 2^64).

    Args:
        seed: a 64-bit integer.
        epoch: the epoch, from 0.
        n: how many rows, below 2^32.
        purpose: SHUFFLE, or another purpose for an order that has nothing to do with an epoch's.

    Returns:
        (n,) int64.

    Source: D. E. Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm P.
    """
    bits = bits64(seed, purpose, epoch, 0, n)
    size = np.arange(1, n + 1, dtype=np.uint64)
    partners = (((bits >> _HIGH) * size + ((bits & _LOW) * size >> _HIGH)) >> _HIGH).tolist()
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = partners[i]
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def dropout_threshold(rate: float) -> int:
    """The t below which a 32-bit number drops its element: round(2^32 rate), at most 2^32 - 1; kept iff bits32 >= t."""
    return min(round(rate * 2.0**32), 2**32 - 1)
