"""Kernels to PTX by Numba CUDA, PTX to machine code by nvJitLink: neither asks a driver, nor needs a card.

The only file that imports numba-cuda: what takes its place one day, takes this file's.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

from cuda.bindings import nvjitlink
from numba import cuda
from numba.cuda import dispatcher, types
from numba.cuda.extending import intrinsic
from numba.cuda.typing import signature

from ...errors import BackendError

TYPES: dict[str, Any] = {
    "address": types.uint64,
    "integer": types.int64,
    "int32": types.int32,
    "uint32": types.uint32,
    "float32": types.float32,
    "float64": types.float64,
    "nothing": types.void,
}


class Linked(NamedTuple):
    """Machine code, and what the linker says of it."""

    cubin: bytes
    registers: int
    spilled: int  # bytes, stored and loaded
    report: str


def tuple_of(*kinds: str) -> Any:
    """The type of a tuple of things of `TYPES`; as an argument of a kernel, it is one parameter for each."""
    return types.Tuple(tuple(TYPES[kind] for kind in kinds))


def repeated(kind: str, count: int) -> Any:
    """The type of a tuple of `count` of the same."""
    return types.UniTuple(TYPES[kind], count)


def pair_of(first: Any, second: Any) -> Any:
    """The type of two things of such types."""
    return types.Tuple((first, second))


def emits(result: Any, count: int) -> Callable[[Callable[..., Any]], Any]:
    """Makes an intrinsic of `count` arguments of a function (builder, *IR values) -> IR value, or None.

    Args:
        result: what kernels get: a name of `TYPES`, or a type.
    """
    made = TYPES.get(result, result) if isinstance(result, str) else result

    def decorate(emit: Callable[..., Any]) -> Any:
        def typing(context: Any, *arguments: Any) -> Any:
            def generate(target: Any, builder: Any, signature_: Any, values: Any) -> Any:
                value = emit(builder, *values)
                return target.get_dummy_value() if made is types.void else value

            return signature(made, *arguments), generate

        names = ("context", *(f"argument_{index}" for index in range(count)))
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        typing.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
        typing.__name__ = emit.__name__
        return intrinsic(typing)

    return decorate


def ptx(name: str, kernel: Callable[..., None], arguments: Any, arch: str, bounds: tuple[int, int]) -> str:
    """The PTX of a kernel, whose entry gets a name.

    Args:
        arguments: their types. arch: such as "sm_90". bounds: threads of a block at most, blocks of a multiprocessor at
            least.
    """
    capability = divmod(int(arch.removeprefix("sm_")), 10)
    # What device functions inside a kernel are compiled for is asked of a driver otherwise.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    text, _ = cuda.compile(
        kernel, types.void(*arguments), device=False, abi="numba", cc=capability, launch_bounds=bounds
    )
    entry = re.search(r"\.visible\s+\.entry\s+([\w$]+)\s*\(", text)
    if entry is None:
        raise BackendError(f"cuda: Numba made no kernel of {name}")
    return re.sub(rf"\b{re.escape(entry[1])}(?=\b|_param)", name, text)


def link(text: str, arch: str) -> Linked:
    """Machine code of PTX.

    Raises:
        BackendError: nvJitLink refuses it; with its words.
    """
    handle = nvjitlink.create(2, [f"-arch={arch}", "-verbose"])
    try:
        try:
            nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text.encode(), len(text), "kernel")
            nvjitlink.complete(handle)
        except nvjitlink.nvJitLinkError as error:
            words = bytearray(nvjitlink.get_error_log_size(handle))
            nvjitlink.get_error_log(handle, words)
            raise BackendError(f"cuda: nvJitLink: {error}: {words.decode(errors='replace').strip(chr(0))}") from None
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
        report = bytearray(nvjitlink.get_info_log_size(handle))
        nvjitlink.get_info_log(handle, report)
    finally:
        nvjitlink.destroy(handle)
    words = report.decode(errors="replace").strip("\0")
    registers = re.search(r"Used (\d+) registers", words)
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", words)
    if registers is None:
        raise BackendError(f"cuda: nvJitLink reports no registers: {words}")
    return Linked(bytes(cubin), int(registers[1]), sum(map(int, spills)), words)
