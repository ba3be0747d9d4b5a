"""The emulated card without cuda.core: the driver's functions by ctypes, for tests that bring PTX of their own."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import build

Array = npt.NDArray[Any]
SETTINGS = (
    "CARD",
    "ORDER",
    "CHECKS",
    "STREAMS",
    "MULTIPROCESSORS",
    "MEMORY",
    "FAIL",
    "REPORT",
    "PTX",
    "DRIVER",
    "FUEL",
)


class CardError(Exception):
    """What the driver answered instead of 0.

    Attributes:
        name: such as CUDA_ERROR_ILLEGAL_ADDRESS. text: of the fault, which begins with its kind.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name, self.text = name, text


class Buffer:
    """An array on the card."""

    def __init__(self, card: "Card", address: int, like: Array) -> None:
        self.card, self.address, self.like = card, address, like

    def get(self, stream: int = 0) -> Array:
        out = np.empty_like(self.like)
        self.card.call("cuMemcpyDtoHAsync_v2", out.ctypes.data, self.address, out.nbytes, stream)
        return out

    def put(self, values: Array, stream: int = 0) -> None:
        values = np.ascontiguousarray(values, self.like.dtype)
        self.card.call("cuMemcpyHtoDAsync_v2", self.address, values.ctypes.data, values.nbytes, stream)


class Card:
    """The card as new; keyword arguments are its settings, EMULATED_CARD and the rest, in small letters."""

    def __init__(self, **settings: object) -> None:
        unknown = [name for name in settings if name.upper() not in SETTINGS]
        if unknown:
            raise TypeError(f"no such settings: {unknown}")
        for name in SETTINGS:
            os.environ.pop(f"EMULATED_{name}", None)
        os.environ.update({f"EMULATED_{name.upper()}": str(value) for name, value in settings.items()})
        self.library = load()
        self.library.emulated_reset()
        self.call("cuInit", 0)

    def fault(self) -> str:
        """The text of the last fault, or nothing."""
        return str(self.library.emulated_fault().decode())

    def call(self, function: str, *arguments: Any) -> None:
        """Calls a function of the driver; integers are passed as 64 bits, the rest as it is.

        Raises:
            CardError: it does not answer 0.
        """
        passed = [ctypes.c_uint64(a & 0xFFFFFFFFFFFFFFFF) if isinstance(a, int) else a for a in arguments]
        code = getattr(self.library, function)(*passed)
        if code:
            name = ctypes.c_char_p()
            self.library.cuGetErrorName(code, ctypes.byref(name))
            text = self.fault() or self.library.emulated_log().decode()
            raise CardError((name.value or b"").decode(), text)

    def number(self, function: str, *arguments: Any) -> int:
        """What a function of the driver writes to its first argument, of 64 bits."""
        out = ctypes.c_uint64()
        self.call(function, ctypes.byref(out), *arguments)
        return out.value

    def array(self, values: Array) -> Buffer:
        """An array copied to the card."""
        values = np.ascontiguousarray(values)
        buffer = self.empty(values)
        buffer.put(values)
        return buffer

    def empty(self, like: Array) -> Buffer:
        """Memory for an array, unwritten."""
        return Buffer(self, self.number("cuMemAlloc_v2", max(like.nbytes, 1)), like)

    def kernel(self, ptx: str, name: str = "kernel") -> int:
        """A kernel of a text of PTX."""
        text = ctypes.create_string_buffer(ptx.encode())
        library = self.number("cuLibraryLoadData", text, None, None, 0, None, None, 0)
        return self.number("cuLibraryGetKernel", library, ctypes.c_char_p(name.encode()))

    def launch(
        self,
        kernel: int,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        arguments: Sequence[Any],
        shared: int = 0,
        cooperative: bool = False,
        stream: int = 0,
    ) -> None:
        """Launches, and on stream 0 waits: arguments are buffers and NumPy scalars."""
        held = [np.array(a.address, np.uint64) if isinstance(a, Buffer) else np.array(a) for a in arguments]
        places = (ctypes.c_void_p * (len(held) + 1))(*(h.ctypes.data for h in held))
        (gx, gy, gz), (bx, by, bz) = (((*v, 1, 1)[:3] if not isinstance(v, int) else (v, 1, 1)) for v in (grid, block))
        common = (kernel, gx, gy, gz, bx, by, bz, shared, stream, places)
        if cooperative:
            self.call("cuLaunchCooperativeKernel", *common)
        else:
            self.call("cuLaunchKernel", *common, None)

    def stream(self) -> int:
        """A stream that waits for no other."""
        return self.number("cuStreamCreate", 1)


def load() -> Any:
    """The driver: that of `run` under it, which cuda.core uses too; else one that nobody else finds."""
    in_place = os.environ.get("EMULATED_IN_PLACE")
    path = (Path(in_place) if in_place else build.driver()) / "libcuda.so.1"
    library = ctypes.CDLL(str(path))
    library.emulated_fault.restype = library.emulated_log.restype = ctypes.c_char_p
    library.emulated_reset.restype = None
    return library


REGISTERS = """
    .reg .pred %p<10>;
    .reg .b16 %h<10>;
    .reg .b32 %r<60>;
    .reg .b64 %rd<60>;
    .reg .f32 %f<60>;
    .reg .f64 %d<60>;
"""


def program(
    body: str, parameters: str = "u64 a, u64 b", before: str = "", target: str = "sm_90", bounds: str = ""
) -> str:
    """PTX of a kernel named kernel.

    Args:
        body: its instructions; registers are declared, and each parameter lies in a register of its name.
        parameters: "type name, ...". before: what stands before the kernel, such as shared memory.
    """
    pairs = [p.split() for p in parameters.split(",")] if parameters else []
    declared = ", ".join(f".param .{t} p_{n}" for t, n in pairs)
    loads = "\n".join(f"    .reg .{kind(t)} %{n};\n    ld.param.{t} %{n}, [p_{n}];" for t, n in pairs)
    return (
        f".version 9.0\n.target {target}\n.address_size 64\n{before}\n"
        f".visible .entry kernel({declared}) {bounds}\n{{\n{REGISTERS}\n{loads}\n{body}\n    ret;\n}}\n"
    )


def kind(type_: str) -> str:
    """The type of a register for a parameter."""
    return type_ if type_[0] == "f" else f"b{type_[1:]}"
