"""Blocks that share a tile of a product, as the compiler made them, in every order; and the faults that can be planted
in how they meet."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from requires import instrument

instrument()

from emulated_card.raw import Card, CardError
from fastnn.backends.cuda import compiler, gemm
from fastnn.backends.cuda.tiles import Division, Tile
from support import Array, assert_same_bits, load

TILE = Tile("tiny", 32, 32, 8, 4, 4, 2, True, 0.0)  # whose C is compiled in a second
M, N, K, CHUNKS = 32, 32, 520, 3
COUNT = "atom.acq_rel.gpu.global.inc.u32"
ORDERS = ("forwards", "backwards", "random")
# What is planted: the kind of fault, and a pattern of the PTX that becomes another text.
PLANTED = {
    "the count made relaxed": ("race", re.escape(COUNT), COUNT.replace("acq_rel", "relaxed")),
    "the count releases nothing": ("race", re.escape(COUNT), COUNT.replace("acq_rel", "acquire")),
    "the count acquires nothing": ("race", re.escape(COUNT), COUNT.replace("acq_rel", "release")),
    "the count of the block": ("race", re.escape(COUNT), COUNT.replace("gpu", "cta")),
    "barrier before the count gone": ("race", r"bar\.sync\s+0;(?=(?:(?!bar\.)[\s\S])*?atom\.)", ""),
    "the last but one adds": (
        "race",
        r"(setp\.eq\.s32\s+%p\d+, %r\d+, )%r\d+(?=;\s*selp\.u32[^;]*;\s*\$\w+:\s*{[^}]*bar\.red)",
        r"\g<1>1",
    ),
}


@cache
def product() -> str:
    """The PTX."""
    source = gemm.gemm("float32", "tn", TILE)
    return compiler.ptx("product", source.function, source.arguments, "sm_90", source.bounds)


def run(card: Card, text: str) -> tuple[Array, Array]:
    """C by a block for each chunk, and the counts, twice."""
    A, B = operands()
    division = Division(TILE, CHUNKS)
    C, counts = np.full((M, N), np.nan, np.float32), np.zeros(1, np.uint32)
    scratch = np.empty(division.scratch_bytes(M, N, 4), np.uint8)
    buffers = [card.array(C), card.array(A), card.array(B)]
    left, counted = card.empty(scratch), card.array(counts)
    kernel = card.kernel(text, "product")
    numbers = [np.int32(value) for value in (M, N, K, M, N, N, 0)]
    arguments = [*buffers, np.uint64(0), np.uint64(0), left, counted, *numbers]
    for _ in range(2):
        card.launch(kernel, (1, 1, CHUNKS), TILE.threads, arguments, TILE.shared_bytes("tn", 4))
    return buffers[0].get(), counted.get()


def operands() -> tuple[Array, Array]:
    random = np.random.RandomState(0)
    A, B = (random.standard_normal((K, side)).astype(np.float32) for side in (M, N))
    return A, B


@pytest.mark.parametrize("order", ORDERS)
def test_the_last_block_adds_in_the_order_of_chunks(order: str) -> None:
    expected = np.empty((M, N), np.float32)
    load("reference").operations("float32")["gemm_tn"](expected, *operands())
    card = Card(order=order)
    got, counts = run(card, product())
    assert card.fault() == ""
    assert_same_bits(got, expected, order)
    assert counts == [0]  # for the next time


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    kind, pattern, planted = PLANTED[fault]
    text, count = re.subn(pattern, planted, product())
    assert count == 1
    for order in ORDERS:
        with pytest.raises(CardError) as caught:
            run(Card(order=order, checks="races", fuel=64), text)
        assert caught.value.text.startswith(kind), caught.value.text
