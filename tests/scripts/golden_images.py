"""Writes the networks of `golden_nets.py` as images of memory, which `tests/c/golden.c` trains on, without Python.

An image is what the C backend would be called with on this one: the structs of `fastnn.h`, every array that they point
at, where the pointers lie, and what sums, theta, statistics and slots must be after training: the reference's bits.
Structs look alike on all 64-bit little-endian machines.

Argument: the file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastnn import config
from fastnn.backends.c import CBackend, ffi
from fastnn.backends.reference import ReferenceBackend
from golden_nets import RATES, Network, networks, trained

THREADS = 2
ALIGNED = 64


class Block(NamedTuple):
    """Memory that is in an image; `has_pointers` is of structs."""

    address: int
    content: bytes
    has_pointers: bool = False


def of_array(array: npt.NDArray[Any]) -> Block:
    return Block(int(array.ctypes.data), array.tobytes())


def of_struct(struct: Any) -> Block:
    return Block(int(ffi.cast("intptr_t", ffi.addressof(struct[0]))), bytes(ffi.buffer(struct)), True)


def blocks(network: Network, program: Any, sums: npt.NDArray[np.float64]) -> list[Block]:
    """All memory of `fnn_run_steps`: the program, the data, the sums and the rates first, the scratch last."""
    plan, state, data = network.plan, network.state, network.data
    arrays = [
        *(plan.instructions, plan.parameters, plan.metrics, plan.losses, plan.inputs, plan.outputs, plan.optimizer),
        *(plan.constants, state.theta, state.gradient, state.statistics, *state.slots, state.scalars, state.counters),
        *(state.workspace, program._norms, program._row_buffers, *data.X, *data.y, *data.w),
    ]
    structs = [program._c_arrays, *program._records.values()]
    found = [of_struct(program._program), of_struct(program._c_data), of_array(sums), of_array(RATES)]
    found += [of_struct(struct) for struct in structs]
    arrays += [data.order, program._addend, program._scratch]
    return found + [of_array(array) for array in arrays if array is not None and array.size]


def image(network: Network, expected: tuple[npt.NDArray[Any], ...]) -> Iterator[bytes]:
    """The image of a network; the head says how large the parts are, all in bytes or in int64."""
    program, sums = CBackend().program(network.plan, network.state), np.zeros(network.plan.sums)
    program._bind(network.data)
    parts = blocks(network, program, sums)
    places, end = [], 0
    for block in parts:
        places.append(end)
        end += -(-len(block.content) // ALIGNED) * ALIGNED
    memory, stored = bytearray(end), places[-1]
    for block, place in zip(parts, places, strict=True):
        memory[place : place + len(block.content)] = block.content

    def inside(address: int) -> int:
        for block, place in zip(parts, places, strict=True):
            if block.address <= address < block.address + len(block.content):
                return place + address - block.address
        return -1

    pointers = [
        (place + 8 * number, to)
        for block, place in zip(parts, places, strict=True)
        if block.has_pointers
        for number, word in enumerate(np.frombuffer(block.content, np.int64))
        if (to := inside(int(word))) >= 0
    ]
    vectors = (sums, network.state.theta, network.state.statistics, *network.state.slots)
    wanted = [(inside(int(vector.ctypes.data)), vector.nbytes) for vector in vectors if vector.size]
    sizes = len(network.name), end, stored, len(pointers), len(wanted), network.plan.dtype.itemsize, network.data.steps
    yield np.array([*sizes, *places[:4]], np.int64).tobytes()
    yield network.name.encode()
    yield bytes(memory[:stored])
    yield np.array([*pointers, *wanted], np.int64).tobytes()
    yield b"".join(vector.tobytes() for vector in expected)


def main(path: str) -> None:
    config.set_num_threads(THREADS)
    with open(path, "wb") as file:
        for dtype in config.DTYPES:
            for network, same in zip(networks(dtype), networks(dtype), strict=True):
                expected = trained(ReferenceBackend().program(same.plan, same.state), same)
                for part in image(network, expected):
                    file.write(part)


if __name__ == "__main__":
    main(sys.argv[1])
