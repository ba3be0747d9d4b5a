"""Where the threads of a product's tile read and write, in memory, in shared memory and in registers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir

from ...core.arithmetic import K_CHUNK
from .compiler import emits, pair_of, repeated, tuple_of
from .intrinsics import GLOBAL
from .scalars import FLOATS, I32, I64, ITEMSIZE, Scalars, Value
from .tiles import LANES_M, LANES_N, PACK_BYTES, STAGES, Tile


class Side:
    """How a block's threads bring its part of A, or of B, to shared memory: by packs of 16 bytes, or by elements, of
    which a warp's lie side by side.

    Args:
        along_k: whether rows lie along k in memory; then they are transposed on their way. size: the tile's side.
            pitch: elements between the rows of k in shared memory. first: where the side's part of a stage begins, in
            bytes.
    """

    def __init__(self, tile: Tile, along_k: bool, size: int, pitch: int, first: int, itemsize: int) -> None:
        self.along_k, self.pitch, self.first, self.itemsize = along_k, pitch, first, itemsize
        self.pack = PACK_BYTES // itemsize if tile.whole else 1
        beside = (tile.depth if along_k else size) // self.pack  # packs of a row
        self.bits = beside.bit_length() - 1
        self.count = size * tile.depth // self.pack // tile.threads
        self.step = tile.threads // beside  # rows between a thread's packs
        # Of a whole tile one address; else one for each pack, since those of an edge lie elsewhere.
        self.pointers = 1 if tile.whole else self.count
        assert self.count and 1 << self.bits == beside and self.count * tile.threads * self.pack == size * tile.depth

    def shared_row(self, index: int, element: int) -> int:
        """Bytes from a thread's place in shared memory to those of an element of a pack."""
        if self.along_k:
            return (element * self.pitch + index * self.step) * self.itemsize
        return (index * self.step * self.pitch + element) * self.itemsize


# What of a thread does not change. a_next, b_next: bytes between its packs; a_on, b_on: from a stage to the next.
_ADDRESSES = ("a_next", "b_next", "a_on", "b_on")
# a_read, b_read: where in a stage it reads; a_write, b_write: where it writes; a_row ... b_column: of its first pack in
# a stage; sums: where its sums of chunks are.
_NUMBERS = ("a_read", "b_read", "a_write", "b_write", "a_row", "a_column", "b_row", "b_column", "sums")


class Layout:
    """What all parts of one kernel are written with."""

    def __init__(self, dtype: str, form: str, tile: Tile) -> None:
        self.dtype, self.tile, self.size = dtype, tile, ITEMSIZE[dtype]
        self.real, self.pack = FLOATS[dtype], PACK_BYTES // ITEMSIZE[dtype]
        self.vector = ir.VectorType(self.real, self.pack)
        pitch_a, pitch_b = tile.pitches(form, self.size)
        self.a = Side(tile, form[0] == "n", tile.rows, pitch_a, 0, self.size)
        self.b = Side(tile, form[1] == "t", tile.columns, pitch_b, tile.depth * pitch_a * self.size, self.size)
        self.sides = (self.a, "a"), (self.b, "b")
        self.stage = tile.stage_bytes(form, self.size)
        self.sum_count = tile.thread_rows * tile.thread_columns
        self.fixed_type = tuple_of(*("address",) * len(_ADDRESSES), *("int32",) * len(_NUMBERS))
        self.places_type = repeated("address", self.a.pointers + self.b.pointers)
        self.sums_type = repeated(dtype, self.sum_count)
        self.got_type = repeated(dtype, self.a.pack * self.a.count + self.b.pack * self.b.count)

    def tuple(self, builder: Any, values: list[Any]) -> Any:
        """Values as one."""
        types = [value.type for value in values]
        same = all(type_ == types[0] for type_ in types)
        kind = ir.ArrayType(types[0], len(types)) if same else ir.LiteralStructType(types)
        made = ir.Constant(kind, ir.Undefined)
        for index, value in enumerate(values):
            made = builder.insert_value(made, value, index)
        return made

    def unpacked(self, builder: Any, values: Any, count: int) -> list[Any]:
        """The values of such."""
        return [builder.extract_value(values, index) for index in range(count)]

    def fixed(self, builder: Any, fixed: Any, name: str) -> Any:
        """One of `_ADDRESSES` or `_NUMBERS`."""
        return builder.extract_value(fixed, (*_ADDRESSES, *_NUMBERS).index(name))

    def load_pack(self, builder: Any, pointer: Any) -> list[Any]:
        """16 bytes."""
        pack = builder.load(pointer, align=PACK_BYTES)
        return [builder.extract_element(pack, I32(element)) for element in range(self.pack)]

    def store_pack(self, builder: Any, values: list[Any], pointer: Any) -> None:
        """16 bytes."""
        pack = ir.Constant(self.vector, ir.Undefined)
        for element, value in enumerate(values):
            pack = builder.insert_element(pack, value, I32(element))
        builder.store(pack, pointer, align=PACK_BYTES)

    def pointer(self, builder: Any, address: Any, type_: Any) -> Any:
        """To global memory."""
        return builder.inttoptr(address, type_.as_pointer(GLOBAL))

    def load_element(self, builder: Any, address: Any) -> Any:
        """Of global memory."""
        return builder.load(self.pointer(builder, address, self.real), align=self.size)

    def side_parts(self, builder: Any, places: Any) -> Iterator[tuple[Side, str, list[Any]]]:
        """Of A and of B: the side, its name, and the addresses of what a thread brings."""
        pointers = self.unpacked(builder, places, self.a.pointers + self.b.pointers)
        yield self.a, "a", pointers[: self.a.pointers]
        yield self.b, "b", pointers[self.a.pointers :]

    def address(
        self, builder: Any, fixed: Any, side: Side, name: str, pointers: list[Any], pack: int, element: int = 0
    ) -> Any:
        """Of an element of a pack that a thread brings."""
        if not self.tile.whole:
            return pointers[pack]
        apart = builder.mul(self.fixed(builder, fixed, f"{name}_next"), I64(pack))
        return builder.add(builder.add(pointers[0], apart), I64(element * self.size))

    def firsts(self, o: Scalars, M: Any, N: Any) -> tuple[Value, Value, Value, Value]:
        """The first row and column of C that the block has, and of what it makes: a whole tile at an edge begins
        further up or left."""
        own_m, own_n = special(o, "ctaid.y") * self.tile.rows, special(o, "ctaid.x") * self.tile.columns
        if not self.tile.whole:
            return own_m, own_n, own_m, own_n
        return own_m, own_n, least(o, own_m, M - self.tile.rows), least(o, own_n, N - self.tile.columns)

    def thread_firsts(self, o: Scalars) -> tuple[Value, Value]:
        """The first row and column of the tile that the thread has."""
        tile, thread = self.tile, special(o, "tid.x")
        lane, warp = thread & 31, thread >> 5
        at_m = (warp >> (tile.warps_beside.bit_length() - 1)) * (LANES_M * tile.thread_rows) + (lane >> 3) * self.pack
        at_n = (warp & (tile.warps_beside - 1)) * (LANES_N * tile.thread_columns) + (lane & 7) * self.pack
        return at_m, at_n

    def begin(self) -> Any:
        """An intrinsic: where the thread reads and writes, in the chunk of its block."""
        tile, size = self.tile, self.size

        @emits(pair_of(self.fixed_type, self.places_type), 6)
        def begin(builder: Any, A: Any, B: Any, M: Any, N: Any, a_apart: Any, b_apart: Any) -> Any:
            o = Scalars(builder, self.dtype)

            def wide(value: Value) -> Value:
                return o.value(builder.sext(value.ir, I64))

            end_m, end_n = o.value(M), o.value(N)
            _, _, first_m, first_n = self.firsts(o, end_m, end_n)
            at_m, at_n = self.thread_firsts(o)
            thread, chunk = special(o, "tid.x"), special(o, "ctaid.z") * K_CHUNK
            fixed: dict[str, Value] = {"a_read": at_m * size, "b_read": at_n * size + self.b.first}
            fixed["sums"] = thread * PACK_BYTES + STAGES * self.stage
            pointers = []
            given = (A, a_apart, first_m, end_m), (B, b_apart, first_n, end_n)
            for (side, name), (base, apart_, first, end) in zip(self.sides, given, strict=True):
                apart = wide(o.value(apart_))
                row, column = thread >> side.bits, (thread & ((1 << side.bits) - 1)) * side.pack
                fixed |= {f"{name}_row": row, f"{name}_column": column, f"{name}_next": apart * (side.step * size)}
                fixed[f"{name}_on"] = o.value(I64(tile.depth * size)) if side.along_k else apart * (tile.depth * size)
                low, high = (column, row) if side.along_k else (row, column)
                fixed[f"{name}_write"] = (low * side.pitch + high) * size + side.first
                for pack in range(side.pointers):
                    line, beside = row + pack * side.step, column
                    if side.along_k:
                        line, beside = first + line, beside + chunk
                    else:
                        line, beside = line + chunk, first + beside
                    if not tile.whole:  # the last row or column again, instead of those outside
                        line, beside = (
                            (least(o, line, end - 1), beside) if side.along_k else (line, least(o, beside, end - 1))
                        )
                    pointers.append((o.value(base) + (wide(line) * apart + wide(beside)) * size).ir)
            for name in ("a_read", "b_read", "a_write", "b_write"):
                fixed[name] = _kept(o, fixed[name])
            made = self.tuple(builder, [fixed[name].ir for name in (*_ADDRESSES, *_NUMBERS)])
            return self.tuple(builder, [made, self.tuple(builder, pointers)])

        return begin


def least(o: Scalars, a: Value, b: Value) -> Value:
    """The smaller of two integers."""
    return o.select(a < b, a, b)


def _kept(o: Scalars, value: Value) -> Value:
    """The same, in a register: else NVVM makes it anew in each turn of the hot loop."""
    function = ir.FunctionType(I32, [I32])
    return o.value(o.builder.call(ir.InlineAsm(function, "mov.b32 $0, $1;", "=r,r", side_effect=True), [value.ir]))


def special(o: Scalars, name: str) -> Value:
    """A special register."""
    full = f"llvm.nvvm.read.ptx.sreg.{name}"
    found = o.builder.module.globals.get(full)
    return o.value(o.builder.call(found or ir.Function(o.builder.module, ir.FunctionType(I32, []), full), []))
