"""An operation on addresses as launches of kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...core.arithmetic import BLOCK
from ...core.operations import Family, Operation
from ...core.random import dropout_threshold
from ...core.steps import MOST_SLOTS
from .chains import LOSSES, Chain
from .chains import kernel_name as chain_name
from .device import Memory, config, resident
from .geometry import STRIPES, THREADS, map_grid, row_blocks, thread_blocks
from .library import Library
from .specs import Columns, Map, Own, Rows
from .table import is_stepped, specs
from .tiles import PACK_BYTES, choose, kernel_name

Lies = tuple[int, int]  # the address of an array, and the elements between its rows
ONE_WARP = 32


class Launch(NamedTuple):
    """A kernel, its blocks and threads, and its arguments; and memory that it needs beside its arrays."""

    kernel: Any
    config: Any
    arguments: tuple[Any, ...]
    memory: Memory | None = None


class Steps(NamedTuple):
    """Where what changes from step to step lies: addresses on the card.

    Attributes:
        clock: the number of the step, an int64. scalars: a table with a row of an operation's scalars for each step.
        numbers: of int64, the optimizer's step in each. apart: the float64 between the totals of two steps.
        starts: of int64, the row of the data at which each begins.
    """

    clock: int
    scalars: int = 0
    numbers: int = 0
    apart: int = 0
    starts: int = 0


class Launcher:
    """Makes launches of one dtype."""

    def __init__(self, library: Library, dtype: str) -> None:
        self._library, self._dtype = library, dtype
        self._real = np.dtype(dtype).type

    def _launch(
        self, name: str, blocks: int, threads: int, *arguments: Any, memory: Memory | None = None
    ) -> list[Launch]:
        if not blocks:
            return []
        return [Launch(self._library.kernel(name, self._dtype), config(blocks, threads), arguments, memory)]

    def operation(
        self, row: Operation, arrays: Sequence[Lies], sizes: Mapping[str, int], scalars: Sequence[float], steps: Steps
    ) -> list[Launch]:
        """The launches of an operation.

        Args:
            arrays: in the order of its row. sizes: of each of its dimensions. scalars: of its row; none of what is
            stepped.
        """
        spec = specs()[row.name]
        if isinstance(spec, Own):
            return self._own(spec.name, row, arrays, sizes, scalars, steps)
        rows = sizes.get("b", 1)
        columns = next((sizes[letter] for letter in "ocp" if letter in sizes), 1)
        given = (steps.scalars, steps.clock) if is_stepped(row) else self._rounded(scalars)
        fixed = (*(address for address, _ in arrays), *(stride for _, stride in arrays), *given, rows, columns)
        if isinstance(spec, Map):
            blocks, *beside = map_grid(rows, columns)
            return self._launch(row.name, blocks, THREADS, *fixed, *beside)
        if isinstance(spec, Rows):
            return self._launch(row.name, row_blocks(rows), THREADS, *fixed)
        assert isinstance(spec, Columns)
        return self._launch(row.name, thread_blocks(columns), THREADS, *fixed)

    def _rounded(self, scalars: Sequence[float]) -> tuple[Any, ...]:
        with np.errstate(over="ignore"):
            return tuple(self._real(scalar) for scalar in scalars)

    def _own(
        self,
        kernel: str,
        row: Operation,
        arrays: Sequence[Lies],
        sizes: Mapping[str, int],
        scalars: Sequence[float],
        steps: Steps,
    ) -> list[Launch]:
        addresses, strides = zip(*arrays, strict=True)
        rows, columns = sizes.get("b", 1), next((sizes[letter] for letter in "oce" if letter in sizes), 1)
        if kernel == "product":
            return self.product(row.family, arrays, sizes)
        if kernel == "weighted_sum":
            arguments = addresses[0], steps.clock, *addresses[1:], steps.apart, *strides[1:], rows
            return self._launch(kernel, 1, ONE_WARP, *arguments)
        if kernel == "r2_sums":
            return self._launch(kernel, thread_blocks(columns + 1), THREADS, *addresses, *strides[1:], rows, columns)
        if kernel in ("sum_abs", "sum_squares"):
            size = sizes["p"]
            return self.parameter_sum(kernel, addresses[0], addresses[1], size, steps)
        if kernel == "dropout":
            return self._dropout(arrays, rows, columns, scalars, steps)
        if kernel == "uniform":
            return self._uniform(arrays[0], rows, columns, scalars, steps)
        blocks, *beside = map_grid(rows, columns)
        if kernel == "embedding_forward":
            return self._launch(kernel, blocks, THREADS, *addresses, *strides, rows, columns, sizes["d"], *beside)
        assert kernel == "embedding_backward"
        threads = thread_blocks(STRIPES * sizes["d"])
        return self._launch(kernel, threads, THREADS, *addresses, *strides, rows, sizes["n"], sizes["d"])

    def product(
        self, family: Family, arrays: Sequence[Lies], sizes: Mapping[str, int], relu: bool = False, output: int = 0
    ) -> list[Launch]:
        """C = A B by one of the forms, with a bias if there are four arrays, then a relu; or times the slope of a relu
        with that output, which lies as C does (0: none)."""
        (C, c), (A, a), (B, b) = arrays[:3]
        bias = arrays[3][0] if len(arrays) > 3 else 0
        M, N, K = (sizes[letter] for letter in ("boi" if family == Family.DENSE_FORWARD else "mnk"))
        form = {Family.GEMM_TN: "tn", Family.GEMM_NT: "nt"}.get(family, "nn")
        itemsize = self._real().itemsize
        places = C, A, B, output, a * itemsize, b * itemsize, c * itemsize
        aligned = not any(place % PACK_BYTES for place in places)
        division = choose(self._dtype, form, M, N, K, aligned, self._library.multiprocessors)
        if division is None:
            of_a, of_b = (1, a) if form == "tn" else (a, 1), (1, b) if form == "nt" else (b, 1)
            blocks, *beside = map_grid(M, N)
            return self._launch(
                "product", blocks, THREADS, C, A, B, bias, output, c, *of_a, *of_b, M, N, K, int(relu), *beside
            )
        tile, chunks = division
        shared = tile.shared_bytes(form, itemsize)
        kernel = self._library.kernel(kernel_name(tile, form), self._dtype, shared)
        grid = -(-N // tile.columns), -(-M // tile.rows), chunks
        scratch = division.scratch_bytes(M, N, itemsize)
        memory = self._library.zeros(scratch + 4 * tile.count(M, N)) if scratch else None
        left, counts = (memory.address, memory.address + scratch) if memory else (0, 0)
        numbers = (np.int32(value) for value in (M, N, K, a, b, c, relu))
        arguments = C, A, B, bias, output, left, counts, *numbers
        return [Launch(kernel, config(grid, tile.threads, shared), arguments, memory)]

    def parameter_sum(self, kernel: str, total: int, w: int, size: int, steps: Steps) -> list[Launch]:
        """total += a sum over so many parameters."""
        blocks = -(-size // BLOCK)
        totals = self._library.memory(8 * blocks)
        return [
            *self._launch(kernel, row_blocks(blocks), THREADS, totals.address, w, size, memory=totals),
            *self._launch("add_blocks", 1, ONE_WARP, total, steps.clock, totals.address, steps.apart, blocks),
        ]

    def _dropout(
        self, arrays: Sequence[Lies], rows: int, columns: int, scalars: Sequence[float], steps: Steps
    ) -> list[Launch]:
        """Scalars: rate, seed, anything, layer; the step is that of `steps`."""
        (A, a_apart), (Z, z_apart) = arrays
        rate, seed, _, layer = scalars
        words = 16 * -(-columns // 64)
        blocks, *beside = map_grid(rows, words)
        memory = (*self._rounded([1.0 / (1.0 - rate)]), dropout_threshold(rate), steps.numbers, steps.clock)
        arguments = A, Z, a_apart, z_apart, rows, columns, words, *beside, *memory, _signed(int(seed)), int(layer)
        return self._launch("dropout", blocks, THREADS, *arguments)

    def _uniform(self, A: Lies, rows: int, columns: int, scalars: Sequence[float], steps: Steps) -> list[Launch]:
        """Scalars: seed, anything, layer; the step and its first row are those of `steps`."""
        seed, _, layer = scalars[:3]
        words = 16 * -(-columns // 64)
        blocks, *beside = map_grid(rows, words)
        places = steps.starts, steps.numbers, steps.clock
        arguments = *A, rows, columns, words, *beside, *places, _signed(int(seed)), int(layer)
        return self._launch("uniform", blocks, THREADS, *arguments)

    def chain(
        self,
        made: Chain,
        vectors: Sequence[int],
        data: Sequence[int],
        tables: Sequence[int],
        apart: int,
        shares: Sequence[float],
        memory: Memory,
        room: Memory | None,
    ) -> Callable[[int, int], Launch]:
        """A function of the steps of a slice and the rows that there are, which gives the slice's only launch.

        Args:
            vectors: the addresses of theta and of the slots. data: of the table of layers, inputs, targets, weights,
                order. tables: of those of first rows, scalars and decays, and of the totals, which lie `apart`.
                shares: what the slope of the loss is multiplied by in a whole batch, and in the last. memory: what the
                table of layers lies in. room: what a grid works in, whose first 8 bytes, 0 at each launch, count its
                barriers; None: it is one block, with its shared memory.
        """
        shared = made.elements * self._real().itemsize if room is None else 0
        kernel = self._library.kernel(chain_name(made.classes, room is not None), self._dtype, shared)
        works = (0, 0) if room is None else (room.address + 8, room.address)
        addresses = *works, *vectors, *(0,) * (1 + MOST_SLOTS - len(vectors)), *data, *tables
        sizes = apart, made.parameters, *made.at, made.targets, made.metric, int(made.weighted)
        codes = 0 if made.classes else LOSSES.index(made.loss), made.optimizer, int(made.limit != 0.0)
        how = config(1, THREADS, shared)
        if room is not None:  # more blocks than are resident together would wait for each other for ever
            most = self._library.multiprocessors * resident(kernel, THREADS)
            how = config(min(most, thread_blocks(made.most)), THREADS, together=True)

        def slice_of(count: int, rows: int) -> Launch:
            numbers = len(made.table), count, made.batch, rows, *sizes, *codes
            return Launch(kernel, how, (*addresses, *numbers, *self._rounded([*shares, made.limit])), memory)

        return slice_of

    def gather(
        self, batch: Lies, source: Lies, order: int, firsts: int, rows: int, columns: int, steps: Steps
    ) -> list[Launch]:
        """Rows of all data into a batch; `firsts` is a table of the first of each step."""
        blocks, *beside = map_grid(rows, columns)
        places = batch[0], source[0], order, firsts, steps.clock, batch[1], source[1]
        return self._launch("gather", blocks, THREADS, *places, rows, columns, *beside)

    def advance(self, steps: Steps) -> list[Launch]:
        """The step is done."""
        return self._launch("advance", 1, ONE_WARP, steps.clock)

    def clip_factor(self, factor: int, squares: int, limit: float) -> list[Launch]:
        """The factor of a gradient whose sum of squares lies there, which begins at 0 again."""
        return self._launch("clip_factor", 1, ONE_WARP, factor, squares, np.float64(limit))


def _signed(seed: int) -> int:
    """The int64 of 64 bits."""
    return (seed + 2**63) % 2**64 - 2**63
