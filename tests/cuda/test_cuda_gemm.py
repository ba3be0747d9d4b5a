"""The tiles of the product as machine code: registers, spills and the share of fmas; and their bits at every edge."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="without the extra cuda13")

from fastnn.backends.cuda import calls, library, tiles
from fastnn.backends.cuda.calls import Launcher
from fastnn.backends.cuda.device import card
from fastnn.backends.cuda.tiles import Division, Tile
from fastnn.core.arithmetic import K_CHUNK
from fastnn.core.operations import Family
from sass import disassembled, hot_loop
from support import DTYPES, Array, assert_same_bits, load

MOST_REGISTERS = 248  # two blocks of 128 threads a multiprocessor
FMAS, SUMS = {"float32": "FFMA", "float64": "DFMA"}, {"float32": "FADD", "float64": "DADD"}

# Whole tiles, tiles that begin further up or left, an end of k inside a stage and inside a chunk.
SHAPES = (
    (128, 128, 16), (133, 132, 24), (132, 140, 260),
    (65, 70, 33), (17, 70, 300), (33, 40, 256), (16, 16, 17),
)  # fmt: skip


def kernels() -> list[Any]:
    """Dtype, tile, form and architecture: all on sm_90, of the other the large tile and a form of the small one."""
    found = []
    for dtype in DTYPES:
        for tile in tiles.TILES[dtype]:
            for form in tiles.FORMS:
                rest = tile is not tiles.LARGE and (form != "tn" or not tile.whole)
                for arch, marks in (("sm_90", ()), ("sm_80", pytest.mark.slow if rest else ())):
                    found.append(
                        pytest.param(dtype, tile, form, arch, marks=marks, id=f"{dtype} {tile.name} {form} {arch}")
                    )
    return found


@pytest.mark.parametrize(("dtype", "tile", "form", "arch"), kernels())
def test_machine_code(dtype: str, tile: Tile, form: str, arch: str) -> None:
    """Nothing spills, so many blocks fit a multiprocessor, and so many instructions of the hot loop are fmas."""
    compiler = pytest.importorskip("fastnn.backends.cuda.compiler", exc_type=ImportError)
    linked = compiler.link(library.ptx(tiles.kernel_name(tile, form), dtype, arch), arch)
    assert linked.spilled == 0, linked.report
    assert linked.registers <= MOST_REGISTERS, linked.report
    blocks = hot_loop(disassembled(linked.cubin), FMAS[dtype])
    fmas = sum(block.opcodes[FMAS[dtype]] for block in blocks)
    assert fmas == tile.thread_rows * tile.thread_columns * tile.depth
    # The sums of chunks are added once a chunk, not once a stage.
    rare = [block for block in blocks if block.opcodes[SUMS[dtype]]]
    often = sum(block.size for block in blocks if block not in rare)
    instructions = often + sum(block.size for block in rare) * tile.depth / K_CHUNK
    assert fmas / instructions >= tile.share


@pytest.mark.parametrize("dtype", DTYPES)
def test_so_many_blocks_fit_the_shared_memory_of_a_multiprocessor(dtype: str) -> None:
    for tile in tiles.TILES[dtype]:
        for form in tiles.FORMS:
            shared = tile.shared_bytes(form, np.dtype(dtype).itemsize)
            assert tile.blocks * (shared + 1024) <= 164 * 1024, (tile, form)  # of sm_80


def operands(form: str, sides: tuple[int, int, int], dtype: str) -> list[Array]:
    M, N, K = sides
    random = np.random.RandomState(M + N + K)
    shapes = (K, M) if form[0] == "t" else (M, K), (N, K) if form[1] == "t" else (K, N)
    return [random.standard_normal(shape).astype(dtype) for shape in shapes]


def product(backend: str, form: str, sides: tuple[int, int, int], dtype: str) -> Array:
    C = np.full(sides[:2], np.nan, dtype)
    load(backend).operations(dtype)[f"gemm_{form}"](C, *operands(form, sides, dtype))
    return C


def divisions(form: str, sides: tuple[int, int, int], dtype: str) -> list[Division]:
    """Every one that can take a product of arrays without gaps."""
    M, N, K = sides
    size = np.dtype(dtype).itemsize
    aligned = not any(side * size % tiles.PACK_BYTES for side in ((M, N) if form == "tn" else (N, K)))
    taking = (tile for tile in tiles.TILES[dtype] if tile.takes(form, M, N, size, aligned))
    return [Division(tile, chunks) for tile in taking for chunks in sorted({1, -(-K // K_CHUNK)})]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", tiles.FORMS)
def test_bits_of_every_division(form: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shape by every tile that can take it, a block with all of K or with a chunk."""
    load("cuda")
    taken = set()
    for sides in SHAPES:
        expected = product("reference", form, sides, dtype)
        for division in divisions(form, sides, dtype):
            monkeypatch.setattr(calls, "choose", lambda *_, division=division: division)
            got = product("cuda", form, sides, dtype)
            assert_same_bits(got, expected, f"{form} {dtype} {sides} {division}")
            taken.add((division.tile.name, division.chunks > 1))
    assert taken == {(tile.name, split) for tile in tiles.TILES[dtype] for split in (False, True)}


class There:
    """Arrays on the card, each row of which is a multiple of 16 bytes long, as in the workspace."""

    def __init__(self, dtype: str) -> None:
        self.dtype, self.memories = dtype, list[Any]()

    def put(self, array: Array) -> tuple[int, int]:
        rows = np.full((array.shape[0], -(-array.shape[1] // 8) * 8), np.nan, self.dtype)
        rows[:, : array.shape[1]] = array
        self.memories.append(card().allocate(rows.nbytes))
        card().put(self.memories[-1].address, rows)
        return self.memories[-1].address, rows.shape[1]

    def get(self, number: int, shape: tuple[int, ...]) -> Array:
        rows = np.empty((shape[0], -(-shape[1] // 8) * 8), self.dtype)
        card().get(rows, self.memories[number].address)
        return rows[:, : shape[1]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_follows_the_sums(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bias and a relu, or the slope of one: by every tile, and by the plain product; of NaN and of zeros, too."""
    load("cuda")
    sides, launcher, zero = (132, 132, 20), Launcher(library.loaded(), dtype), np.dtype(dtype).type(0.0)
    sizes, special = dict(zip("mnk", sides, strict=True)), np.array([0.0, -0.0, np.nan, np.inf, 1.0], dtype)
    for form, family in (("nn", Family.GEMM_NN), ("nt", Family.GEMM_NT)):
        A, B = operands(form, sides, dtype)
        A[3] = 0.0
        sums = np.empty(sides[:2], dtype)
        load("reference").operations(dtype)[f"gemm_{form}"](sums, A, B)
        beside = np.resize(special, (1, sides[1]) if form == "nn" else sums.shape)
        biased = sums + beside
        expected = np.where(biased < 0, zero, biased) if form == "nn" else np.where(beside > 0, sums, zero)
        for division in (*divisions(form, sides, dtype), None):
            monkeypatch.setattr(calls, "choose", lambda *_, division=division: division)
            there = There(dtype)
            arrays = [there.put(array) for array in (np.full(sides[:2], np.nan, dtype), A, B, beside)]
            if form == "nn":
                launches = launcher.product(family, arrays, sizes, relu=True)
            else:
                launches = launcher.product(family, arrays[:3], sizes, output=arrays[3][0])
            card().launch(launches)
            assert_same_bits(there.get(0, sides[:2]), expected, f"{form} {dtype} {division}")


def test_which_division_takes_a_shape() -> None:
    def chosen(
        M: int, N: int, K: int, form: str = "nn", aligned: bool = True, dtype: str = "float32"
    ) -> tuple[str, int]:
        division = tiles.choose(dtype, form, M, N, K, aligned, 132)
        return (division.tile.name, division.chunks) if division else ("", 0)

    assert chosen(4096, 4096, 4096) == ("large", 1)
    assert chosen(4096, 4096, 4096, aligned=False) == ("ragged", 1)
    assert chosen(4096, 4097, 4096) == ("ragged", 1)
    assert chosen(4097, 4096, 4096) == ("large", 1) and chosen(4097, 4096, 4096, "tn") == ("ragged", 1)
    assert chosen(256, 256, 256) == ("small", 1)  # four large ones would leave most of the card idle
    assert chosen(256, 1024, 784) == ("small", 4)  # a hidden layer of a small batch
    assert chosen(512, 16, 4096, aligned=False) == ("ragged", 16)  # eight tiles, each with all of K
    assert chosen(4096, 4096, 512, "tn") == ("large", 1)
    assert chosen(256, 256, 4096) == ("small", 16)
    assert chosen(256, 10, 1024) == ("", 0) and chosen(4096, 4096, 8) == ("", 0)
    assert chosen(4096, 4096, 4096, dtype="float64") == ("small", 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", tiles.FORMS)
def test_memory_is_accessed_without_waste(form: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three whole stages, and once two chunks: each access of shared memory takes as many wavefronts as its bytes need,
    and each of memory as many sectors."""
    load("cuda")
    if not card().emulated:
        pytest.skip("only the emulated card shows its addresses")
    banks = importlib.import_module("emulated_card.banks")
    monkeypatch.setattr(banks, "load", lambda: ctypes.CDLL("libcuda.so.1"))  # the one that cuda.core has
    ways = [(Division(tile, 1), 3 * tile.depth) for tile in tiles.TILES[dtype]]
    if form == "tn":
        ways.append((Division(tiles.TILES[dtype][-1], 2), K_CHUNK + tiles.RAGGED.depth))
    for division, K in ways:
        monkeypatch.setattr(calls, "choose", lambda *_, division=division: division)
        with banks.traced() as trace:
            product("cuda", form, (division.tile.rows, division.tile.columns, K), dtype)
        traffic = trace.traffic()
        assert {one.shared for one in traffic} == {True, False}
        wasted = {f"line {one.line}: {one.text}": one.parts - one.least for one in traffic if one.parts > one.least}
        assert not wasted, division
