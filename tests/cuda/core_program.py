"""A program of cuda.core and Numba, which tests start with `run`: core_program.py launch|graph|fault TARGET."""

import sys
from typing import Any

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, LaunchConfig, ObjectCode, launch

import numba_kernels

N = 256
X = np.arange(N, dtype=np.float32)


class Program:
    """The card, a stream, the kernel of numba_kernels.py and its arrays."""

    def __init__(self, target: str) -> None:
        self.device = Device(0)
        self.device.set_current()
        assert self.device.name == f"emulated {target}", self.device.name
        self.stream = self.device.create_stream()
        text, name = numba_kernels.compiled(target)
        self.kernel = ObjectCode.from_ptx(text.encode()).get_kernel(name)
        self.x, self.y = (self.device.allocate(X.nbytes, stream=self.stream) for _ in range(2))
        driver.cuMemcpyHtoDAsync(int(self.x.handle), X.ctypes.data, X.nbytes, self.stream.handle)

    def launch(self, stream: Any, blocks: int = 2) -> None:
        zero, n, size = np.int64(0), np.int64(N), np.int64(4)
        arrays = [v for b in (self.x, self.y) for v in (zero, zero, n, size, b, n, size)]
        launch(stream, LaunchConfig(grid=blocks, block=128), self.kernel, *arrays, np.int32(N))

    def result(self) -> Any:
        out = np.zeros_like(X)
        driver.cuMemcpyDtoHAsync(out.ctypes.data, int(self.y.handle), out.nbytes, self.stream.handle)
        self.stream.sync()
        return out


def main(mode: str, target: str) -> None:
    program = Program(target)
    if mode == "graph":
        builder = program.device.create_graph_builder().begin_building()
        for _ in range(3):
            program.launch(builder)
        graph = builder.end_building().complete()
        assert np.isnan(program.result()).all()  # captured, not run
        graph.launch(program.stream)
    else:
        program.launch(program.stream, blocks=3 if mode == "fault" else 2)
    np.testing.assert_array_equal(program.result(), numba_kernels.expected(X))
    print("right")


if __name__ == "__main__":
    main(*sys.argv[1:])
