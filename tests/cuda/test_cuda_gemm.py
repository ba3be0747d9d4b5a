"""The tiles of the product as machine code: registers, spills and the share of fmas; and their bits at every edge."""

from __future__ import annotations

import ctypes
import importlib

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

from fastnn.backends.cuda import calls, library, tiles
from fastnn.backends.cuda.device import card
from fastnn.core.arithmetic import K_CHUNK
from sass import disassembled, hot_loop
from support import DTYPES, Array, assert_same_bits, load

ARCHS = ("sm_80", "sm_90")
MOST_REGISTERS = 248  # two blocks of 128 threads a multiprocessor
LEAST_SHARE = 0.90

# Whole tiles, tiles that begin further up or left, an end of k inside a stage and inside a chunk.
WHOLE = ((128, 128, 16), (132, 256, 40), (200, 140, 257))
OTHERS = ((64, 64, 64), (65, 70, 33), (17, 129, 300), (130, 16, 520), (33, 40, 256), (16, 16, 17))


@pytest.mark.parametrize("form", tiles.FORMS)
@pytest.mark.parametrize("arch", ARCHS)
def test_machine_code(arch: str, form: str) -> None:
    """Nothing spills, two blocks fit a multiprocessor, and nine of ten instructions are fmas."""
    compiler = pytest.importorskip("fastnn.backends.cuda.compiler", exc_type=ImportError)
    tile = tiles.LARGE
    linked = compiler.link(library.ptx(tiles.kernel_name(tile, form), "float32", arch), arch)
    assert linked.spilled == 0, linked.report
    assert linked.registers <= MOST_REGISTERS, linked.report
    blocks = hot_loop(disassembled(linked.cubin), "FFMA")
    fmas = sum(block.opcodes["FFMA"] for block in blocks)
    assert fmas == tile.thread_rows * tile.thread_columns * tile.depth
    # The sums of chunks are added once a chunk, not once a stage.
    rare = [block for block in blocks if block.opcodes["FADD"]]
    often = sum(block.size for block in blocks if block not in rare)
    instructions = often + sum(block.size for block in rare) * tile.depth / K_CHUNK
    assert fmas / instructions >= LEAST_SHARE


def test_two_blocks_fit_the_shared_memory_of_a_multiprocessor() -> None:
    for form in tiles.FORMS:
        assert 2 * (tiles.LARGE.shared_bytes(form, 4) + 1024) <= 164 * 1024  # of sm_80


def product(backend: str, form: str, sides: tuple[int, int, int], dtype: str) -> Array:
    M, N, K = sides
    random = np.random.RandomState(M + N + K)
    A = random.standard_normal((K, M) if form[0] == "t" else (M, K)).astype(dtype)
    B = random.standard_normal((N, K) if form[1] == "t" else (K, N)).astype(dtype)
    C = np.full((M, N), np.nan, dtype)
    load(backend).operations(dtype)[f"gemm_{form}"](C, A, B)
    return C


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", tiles.FORMS)
def test_bits_of_every_tile(form: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shape by every tile that can take it."""
    load("cuda")
    taken = set()
    for wanted in tiles.TILES[dtype]:
        for M, N, K in (*WHOLE, *OTHERS):
            if wanted.whole and (M, N, K) not in WHOLE:
                continue
            if wanted.whole and any(side % 4 for side in ((M, N) if form == "tn" else (N, K))):
                continue
            monkeypatch.setattr(calls, "choose", lambda *_, tile=wanted: tile)
            expected = product("reference", form, (M, N, K), dtype)
            assert_same_bits(
                product("cuda", form, (M, N, K), dtype), expected, f"{form} {dtype} {wanted.name} {M, N, K}"
            )
            taken.add(wanted.name)
    assert taken == {tile.name for tile in tiles.TILES[dtype]}


def test_which_tile_takes_a_shape() -> None:
    def chosen(M: int, N: int, K: int, whole: bool = True, dtype: str = "float32") -> str:
        tile = tiles.choose(dtype, "nn", M, N, K, whole, 132)
        return tile.name if tile else ""

    assert chosen(4096, 4096, 4096) == "large"
    assert chosen(4096, 4096, 4096, whole=False) == "small"
    assert chosen(4096, 4097, 4096) == "small"
    assert chosen(256, 256, 256) == "small"  # four large ones would leave most of the card idle
    assert chosen(256, 10, 1024) == "" and chosen(4096, 4096, 8) == ""
    assert chosen(4096, 4096, 4096, dtype="float64") == "small"


@pytest.mark.parametrize("form", tiles.FORMS)
def test_no_bank_conflicts(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three whole stages: each access of shared memory takes as many wavefronts as its bytes need."""
    load("cuda")
    if not card().emulated:
        pytest.skip("only the emulated card shows its addresses")
    banks = importlib.import_module("emulated_card.banks")
    monkeypatch.setattr(banks, "load", lambda: ctypes.CDLL("libcuda.so.1"))  # the one that cuda.core has
    monkeypatch.setattr(calls, "choose", lambda *_: tiles.LARGE)
    with banks.traced() as trace:
        product("cuda", form, (128, 128, 3 * tiles.LARGE.depth), "float32")
    assert any(one.shared for one in trace.traffic())
    assert not trace.conflicts()
