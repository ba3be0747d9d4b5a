"""What the kernel of `gemm.py` is made of: intrinsics that emit what a thread does with its part of a tile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from ...core import formulas as fo
from .compiler import emits, pair_of, repeated, tuple_of
from .intrinsics import GLOBAL, shared
from .scalars import FLOATS, I32, I64, ITEMSIZE, Scalars, Value
from .tiles import LANES_M, LANES_N, STAGES, Tile

BYTES = 16  # of an access


class Side:
    """How a block's threads bring its part of A, or of B, to shared memory: packs of 16 bytes, or as many elements.

    Args:
        along_k: whether rows lie along k in memory; then they are transposed on their way. size: the tile's side.
            pitch: elements between the rows of k in shared memory. first: where the side's part of a stage begins, in
            bytes.
    """

    def __init__(self, tile: Tile, along_k: bool, size: int, pitch: int, first: int, itemsize: int) -> None:
        self.along_k, self.pitch, self.first, self.itemsize = along_k, pitch, first, itemsize
        self.pack = BYTES // itemsize
        beside = (tile.depth if along_k else size) // self.pack  # packs of a row
        self.bits = beside.bit_length() - 1
        self.count = size * tile.depth // self.pack // tile.threads
        self.step = tile.threads // beside  # rows between a thread's packs
        assert self.count and 1 << self.bits == beside and self.count * tile.threads * self.pack == size * tile.depth

    def shared_row(self, number: int, element: int) -> int:
        """Bytes from a thread's place in shared memory to those of an element of a pack."""
        if self.along_k:
            return (element * self.pitch + number * self.step) * self.itemsize
        return (number * self.step * self.pitch + element) * self.itemsize


# What of a thread does not change. a_next, b_next: bytes between its packs; a_on, b_on: from a stage to the next.
_ADDRESSES = ("a_next", "b_next", "a_on", "b_on")
# a_read, b_read: where in a stage it reads; a_write, b_write: where it writes; a_row ... b_column: of its first pack in
# a stage; m, n: its first element of C; own_m, own_n: the first that the block writes; sums: where its sums of chunks
# are.
_NUMBERS = (
    "a_read", "b_read", "a_write", "b_write", "a_row", "a_column", "b_row", "b_column", "m", "n", "own_m", "own_n",
    "sums",
)  # fmt: skip


class Parts:
    """The intrinsics of one kernel."""

    def __init__(self, dtype: str, form: str, tile: Tile) -> None:
        self.dtype, self.tile, self.size = dtype, tile, ITEMSIZE[dtype]
        self.real, self.pack = FLOATS[dtype], BYTES // ITEMSIZE[dtype]
        self.vector = ir.VectorType(self.real, self.pack)
        pitch_a, pitch_b = tile.pitches(form, self.size)
        self.a = Side(tile, form[0] == "n", tile.rows, pitch_a, 0, self.size)
        self.b = Side(tile, form[1] == "t", tile.columns, pitch_b, tile.depth * pitch_a * self.size, self.size)
        self.stage = tile.stage_bytes(form, self.size)
        self.held = tile.thread_rows * tile.thread_columns
        # Of a whole tile one address a side; else one for each pack, and for each of its elements an offset.
        self.pointers = (1, 1) if tile.whole else (self.a.count, self.b.count)
        offsets = 0 if tile.whole else 2 * self.pack
        self.fixed_type = tuple_of(*("address",) * (len(_ADDRESSES) + offsets), *("int32",) * len(_NUMBERS))
        self.places_type = repeated("address", sum(self.pointers))
        self.sums_type = repeated(dtype, self.held)
        self.got_type = repeated(dtype, self.pack * (self.a.count + self.b.count))

    # what parts are written with

    def _tuple(self, builder: Any, values: list[Any], types: list[Any]) -> Any:
        same = all(type_ == types[0] for type_ in types)
        kind = ir.ArrayType(types[0], len(types)) if same else ir.LiteralStructType(types)
        made = ir.Constant(kind, ir.Undefined)
        for number, value in enumerate(values):
            made = builder.insert_value(made, value, number)
        return made

    def _unpacked(self, builder: Any, values: Any, count: int) -> list[Any]:
        return [builder.extract_value(values, number) for number in range(count)]

    def _fixed(self, builder: Any, fixed: Any, name: str) -> Any:
        if name in _ADDRESSES:
            return builder.extract_value(fixed, _ADDRESSES.index(name))
        offsets = 0 if self.tile.whole else 2 * self.pack
        return builder.extract_value(fixed, len(_ADDRESSES) + offsets + _NUMBERS.index(name))

    def _load_pack(self, builder: Any, pointer: Any) -> list[Any]:
        pack = builder.load(pointer, align=BYTES)
        return [builder.extract_element(pack, I32(element)) for element in range(self.pack)]

    def _store_pack(self, builder: Any, values: list[Any], pointer: Any) -> None:
        pack = ir.Constant(self.vector, ir.Undefined)
        for element, value in enumerate(values):
            pack = builder.insert_element(pack, value, I32(element))
        builder.store(pack, pointer, align=BYTES)

    def _global(self, builder: Any, address: Any, type_: Any) -> Any:
        return builder.inttoptr(address, type_.as_pointer(GLOBAL))

    def _side_parts(self, builder: Any, fixed: Any, places: Any) -> Iterator[tuple[Side, str, Any]]:
        """Of A and of B: the side, its name, and the address (pack, element) of what a thread brings."""
        pointers = self._unpacked(builder, places, sum(self.pointers))
        first = 0
        for number, (side, name) in enumerate(((self.a, "a"), (self.b, "b"))):
            own = pointers[first : first + self.pointers[number]]
            first += self.pointers[number]

            def address(pack: int, element: int, own: Any = own, name: str = name, number: int = number) -> Any:
                if self.tile.whole:
                    apart = builder.mul(self._fixed(builder, fixed, f"{name}_next"), I64(pack))
                    return builder.add(builder.add(own[0], apart), I64(element * self.size))
                place = len(_ADDRESSES) + number * self.pack + element
                return builder.add(own[pack], builder.extract_value(fixed, place))

            yield side, name, address

    # the parts

    def begin(self) -> Any:
        """Where the thread reads and writes."""
        tile, size = self.tile, self.size

        @emits(pair_of(self.fixed_type, self.places_type), 6)
        def begin(builder: Any, A: Any, B: Any, M: Any, N: Any, a_apart: Any, b_apart: Any) -> Any:
            o = Scalars(builder, self.dtype)

            def number(value: Any) -> Value:
                return o.value(value)

            def special(name: str) -> Value:
                return number(builder.call(_special(builder, name), []))

            def wide(value: Value) -> Value:
                return number(builder.sext(value.ir, I64))

            def least(a: Any, b: Any) -> Value:
                return o.select(a < b, a, b)

            thread = special("tid.x")
            own_m, own_n = special("ctaid.y") * tile.rows, special("ctaid.x") * tile.columns
            first_m, first_n = own_m, own_n
            if tile.whole:
                first_m, first_n = least(own_m, number(M) - tile.rows), least(own_n, number(N) - tile.columns)
            lane, warp = thread & 31, thread >> 5
            beside = tile.warps_beside.bit_length() - 1
            at_m = (warp >> beside) * (LANES_M * tile.thread_rows) + (lane >> 3) * self.pack
            at_n = (warp & (tile.warps_beside - 1)) * (LANES_N * tile.thread_columns) + (lane & 7) * self.pack
            fixed: dict[str, Value] = {"own_m": own_m, "own_n": own_n, "m": first_m + at_m, "n": first_n + at_n}
            fixed |= {"a_read": at_m * size, "b_read": at_n * size + self.b.first}
            fixed["sums"] = thread * BYTES + STAGES * self.stage
            pointers, offsets = [], []
            sides = ((self.a, "a", A, a_apart, first_m, M), (self.b, "b", B, b_apart, first_n, N))
            for side, name, base, apart_, first, end in sides:
                apart = wide(number(apart_))
                row, column = thread >> side.bits, (thread & ((1 << side.bits) - 1)) * self.pack
                fixed |= {f"{name}_row": row, f"{name}_column": column, f"{name}_next": apart * (side.step * size)}
                fixed[f"{name}_on"] = number(I64(tile.depth * size)) if side.along_k else apart * (tile.depth * size)
                low, high = (column, row) if side.along_k else (row, column)
                fixed[f"{name}_write"] = (low * side.pitch + high) * size + side.first
                last = number(end) - 1
                for pack in range(1 if tile.whole else side.count):
                    line = row + pack * side.step
                    if side.along_k:
                        line = first + line
                        line = line if tile.whole else least(line, last)
                    start = wide(line) * apart
                    if side.along_k or tile.whole:
                        start = start + wide(column if side.along_k else first + column)
                    pointers.append((number(base) + start * size).ir)
                for element in range(0 if tile.whole else self.pack):
                    place = number(I32(element)) if side.along_k else least(first + column + element, last)
                    offsets.append((wide(place) * size).ir)
            values = [fixed[name].ir for name in _ADDRESSES] + offsets + [fixed[name].ir for name in _NUMBERS]
            made = self._tuple(builder, values, [value.type for value in values])
            places = self._tuple(builder, pointers, [I64] * len(pointers))
            return self._tuple(builder, [made, places], [made.type, places.type])

        return begin

    def zeros(self) -> Any:
        """Sums of a chunk, before its first product."""

        @emits(self.sums_type, 0)
        def zeros(builder: Any) -> Any:
            return ir.Constant(ir.ArrayType(self.real, self.held), [self.real(0.0)] * self.held)

        return zeros

    def clear(self) -> Any:
        """Sums of chunks, before the first: -0, since -0 + x is x for every x."""

        @emits("nothing", 1)
        def clear(builder: Any, fixed: Any) -> None:
            for pointer in self._sum_packs(builder, fixed):
                self._store_pack(builder, [self.real(-0.0)] * self.pack, pointer)

        return clear

    def _sum_packs(self, builder: Any, fixed: Any) -> Iterator[Any]:
        place = self._fixed(builder, fixed, "sums")
        for pack in range(self.held // self.pack):
            yield shared(builder, builder.add(place, I32(pack * self.tile.threads * BYTES)), self.vector)

    def fold(self) -> Any:
        """Adds the sums of a chunk to those before."""

        @emits("nothing", 2)
        def fold(builder: Any, sums: Any, fixed: Any) -> None:
            o, own = Scalars(builder, self.dtype), self._unpacked(builder, sums, self.held)
            for pack, pointer in enumerate(self._sum_packs(builder, fixed)):
                before = self._load_pack(builder, pointer)
                made = [
                    o.rounded("add", value, own[pack * self.pack + element]).ir for element, value in enumerate(before)
                ]
                self._store_pack(builder, made, pointer)

        return fold

    def fetch(self) -> Any:
        """The thread's packs of the next stage, from global memory."""

        @emits(self.got_type, 2)
        def fetch(builder: Any, fixed: Any, places: Any) -> Any:
            got: list[Any] = []
            for side, _, address in self._side_parts(builder, fixed, places):
                for pack in range(side.count):
                    if self.tile.whole:
                        got += self._load_pack(builder, self._global(builder, address(pack, 0), self.vector))
                    else:
                        got += [
                            builder.load(self._global(builder, address(pack, element), self.real), align=self.size)
                            for element in range(self.pack)
                        ]
            return self._tuple(builder, got, [self.real] * len(got))

        return fetch

    def advance(self) -> Any:
        """The addresses of the next stage."""

        @emits(self.places_type, 2)
        def advance(builder: Any, fixed: Any, places: Any) -> Any:
            on = [self._fixed(builder, fixed, name) for name in ("a_on", "b_on")]
            steps = [on[0]] * self.pointers[0] + [on[1]] * self.pointers[1]
            pointers = self._unpacked(builder, places, sum(self.pointers))
            moved = [builder.add(pointer, step) for pointer, step in zip(pointers, steps, strict=True)]
            return self._tuple(builder, moved, [I64] * len(moved))

        return advance

    def put(self) -> Any:
        """The thread's packs, to a stage of shared memory."""

        @emits("nothing", 3)
        def put(builder: Any, got: Any, fixed: Any, buffer: Any) -> None:
            values, at = self._unpacked(builder, got, self.pack * (self.a.count + self.b.count)), 0
            for side, name in ((self.a, "a"), (self.b, "b")):
                place = builder.add(self._fixed(builder, fixed, f"{name}_write"), buffer)
                for pack in range(side.count):
                    own, at = values[at : at + self.pack], at + self.pack
                    if not side.along_k:
                        where = builder.add(place, I32(side.shared_row(pack, 0)))
                        self._store_pack(builder, own, shared(builder, where, self.vector))
                        continue
                    for element, value in enumerate(own):
                        where = builder.add(place, I32(side.shared_row(pack, element)))
                        builder.store(value, shared(builder, where, self.real), align=self.size)

        return put

    def put_rest(self) -> Any:
        """What is left of k, element by element, to the first stage; nothing is read from outside."""

        @emits("nothing", 3)
        def put_rest(builder: Any, fixed: Any, places: Any, rest: Any) -> None:
            for side, name, address in self._side_parts(builder, fixed, places):
                place = self._fixed(builder, fixed, f"{name}_write")
                for pack in range(side.count):
                    for element in range(self.pack):
                        k = self._fixed(builder, fixed, f"{name}_{'column' if side.along_k else 'row'}")
                        k = builder.add(k, I32(element if side.along_k else pack * side.step))
                        with builder.if_then(builder.icmp_signed("<", k, rest)):
                            value = builder.load(
                                self._global(builder, address(pack, element), self.real), align=self.size
                            )
                            where = builder.add(place, I32(side.shared_row(pack, element)))
                            builder.store(value, shared(builder, where, self.real), align=self.size)

        return put_rest

    def multiply(self, depth: int) -> Any:
        """The products of so many k of a stage; of one, that of the row `place`, else the stage begins at `place`
        bytes."""
        tile = self.tile

        @emits(self.sums_type, 3)
        def multiply(builder: Any, sums: Any, fixed: Any, place: Any) -> Any:
            o, own = Scalars(builder, self.dtype), self._unpacked(builder, sums, self.held)
            reads = []
            for side, name in ((self.a, "a"), (self.b, "b")):
                begin = builder.mul(place, I32(side.pitch * self.size)) if depth == 1 else place
                reads.append(builder.add(self._fixed(builder, fixed, f"{name}_read"), begin))
            for k in range(depth):
                a, b = (
                    self._row(builder, read, side, k, count, lanes)
                    for read, side, count, lanes in (
                        (reads[0], self.a, tile.thread_rows, LANES_M),
                        (reads[1], self.b, tile.thread_columns, LANES_N),
                    )
                )
                for i, left in enumerate(a):
                    for j, right in enumerate(b):
                        number = i * tile.thread_columns + j
                        own[number] = o.fma(o.value(left), o.value(right), o.value(own[number])).ir
            return self._tuple(builder, own, [self.real] * self.held)

        return multiply

    def _row(self, builder: Any, read: Any, side: Side, k: int, count: int, lanes: int) -> list[Any]:
        """A thread's elements of a row of k in shared memory: packs, between which lie those of the other lanes."""
        row: list[Any] = []
        for pack in range(count // self.pack):
            where = (k * side.pitch + pack * self.pack * lanes) * self.size
            row += self._load_pack(builder, shared(builder, builder.add(read, I32(where)), self.vector))
        return row

    def finish(self) -> Any:
        """C, from the sums of chunks, the bias and the relu."""
        tile = self.tile

        @emits("nothing", 7)
        def finish(builder: Any, fixed: Any, C: Any, bias: Any, M: Any, N: Any, c_apart: Any, relu: Any) -> None:
            o = Scalars(builder, self.dtype)
            first_m, first_n = (self._fixed(builder, fixed, name) for name in ("m", "n"))
            packs = iter(self._sum_packs(builder, fixed))
            biased, clips = builder.icmp_signed("!=", bias, I64(0)), builder.icmp_signed("!=", relu, I32(0))
            beside = tile.thread_columns // self.pack
            columns = [builder.add(first_n, I32(pack * self.pack * LANES_N)) for pack in range(beside)]
            biases = [self._biases(builder, bias, biased, column, N) for column in columns]
            for i in range(tile.thread_rows):
                m = builder.add(first_m, I32(i // self.pack * self.pack * LANES_M + i % self.pack))
                row = builder.add(
                    C, builder.mul(builder.mul(builder.sext(m, I64), builder.sext(c_apart, I64)), I64(self.size))
                )
                for column, own in zip(columns, biases, strict=True):
                    made = []
                    for value, extra in zip(self._load_pack(builder, next(packs)), own, strict=True):
                        made.append(builder.select(biased, o.rounded("add", value, extra).ir, value))
                        clipped = o.coerce(fo.relu(o, o.value(made[-1]), None))
                        made[-1] = builder.select(clips, clipped, made[-1])
                    self._store(builder, fixed, made, row, m, column, M, N)

        return finish

    def _biases(self, builder: Any, bias: Any, biased: Any, column: Any, N: Any) -> list[Any]:
        """Those of a pack of columns; of none outside."""
        found = []
        for element in range(self.pack):
            n = builder.add(column, I32(element))
            there = builder.and_(biased, builder.icmp_signed("<", n, N))
            with _if_else(builder, there, self.real) as (then, chosen):
                place = builder.add(bias, builder.mul(builder.sext(n, I64), I64(self.size)))
                then(builder.load(self._global(builder, place, self.real), align=self.size))
            found.append(chosen())
        return found

    def _store(
        self, builder: Any, fixed: Any, values: list[Any], row: Any, m: Any, column: Any, M: Any, N: Any
    ) -> None:
        place = builder.add(row, builder.mul(builder.sext(column, I64), I64(self.size)))
        if self.tile.whole:
            own = [
                builder.icmp_signed(">=", at, self._fixed(builder, fixed, name))
                for at, name in ((m, "own_m"), (column, "own_n"))
            ]
            with builder.if_then(builder.and_(*own)):
                self._store_pack(builder, values, self._global(builder, place, self.vector))
            return
        for element, value in enumerate(values):
            n = builder.add(column, I32(element))
            inside = builder.and_(builder.icmp_signed("<", m, M), builder.icmp_signed("<", n, N))
            with builder.if_then(inside):
                address = builder.add(place, I64(element * self.size))
                builder.store(value, self._global(builder, address, self.real), align=self.size)


@contextmanager
def _if_else(builder: Any, condition: Any, type_: Any) -> Iterator[tuple[Any, Any]]:
    """What is loaded where a condition holds, else 0."""
    before, made = builder.block, []
    phi: list[Any] = []
    with builder.if_then(condition):

        def then(value: Any) -> None:
            made.append((value, builder.block))

        yield then, lambda: phi[0]
    joined = builder.phi(type_)
    joined.add_incoming(type_(0.0), before)
    joined.add_incoming(*made[0])
    phi.append(joined)


def _special(builder: Any, name: str) -> Any:
    """A special register."""
    full = f"llvm.nvvm.read.ptx.sreg.{name}"
    found = builder.module.globals.get(full)
    return found or ir.Function(builder.module, ir.FunctionType(I32, []), full)
