"""What this machine can do at most: fused multiply-adds a second, and bytes a second at a size.

Two functions are written in LLVM's language and compiled, as Numba's code is, for the processor, or for the one that
NUMBA_CPU_NAME names: twelve independent chains of vector fma for the peak, and a sweep that reads and writes three
vectors, as Adam does, for the bandwidth. A vector that fits a cache is swept in that cache, so the bandwidth is that of
the size.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

# Twice the latency of an fma; AVX2's 16 registers hold them and two factors. They begin apart, or a compiler finds that
# they are one.
CHAINS = 12


class Kernels(NamedTuple):
    """Compiled for a dtype: `fma_chains(n, factor, term, out)`, `sweep(n, times, rate, p, m, v)`; lanes of a vector."""

    fma_chains: Any
    sweep: Any
    lanes: int
    engine: Any  # the code lives as long as it


def _source(real: str, lanes: int) -> str:
    """The two functions; `lanes` divides the n of `sweep`."""
    vec, size = f"<{lanes} x {real}>", f"v{lanes}f{32 if real == 'float' else 64}"

    def splat(name: str, value: str) -> list[str]:
        return [
            f"  %{name}1 = insertelement {vec} undef, {real} {value}, i32 0",
            f"  %{name} = shufflevector {vec} %{name}1, {vec} undef, <{lanes} x i32> zeroinitializer",
        ]

    def constant(value: float) -> str:
        return "<" + ", ".join([f"{real} {value:e}"] * lanes) + ">"

    fma = f"declare {vec} @llvm.fma.{size}({vec}, {vec}, {vec})"
    chains = [fma, f"define void @fma_chains(i64 %n, {real} %factor, {real} %term, ptr %out) {{", "entry:"]
    chains += [*splat("a", "%factor"), *splat("b", "%term")]
    chains += [f"  %s{c} = fadd {vec} %a, {constant(c)}" for c in range(CHAINS)]
    chains += ["  br label %loop", "loop:", "  %i = phi i64 [0, %entry], [%j, %loop]"]
    chains += [f"  %c{c} = phi {vec} [%s{c}, %entry], [%d{c}, %loop]" for c in range(CHAINS)]
    chains += [f"  %d{c} = call {vec} @llvm.fma.{size}({vec} %c{c}, {vec} %a, {vec} %b)" for c in range(CHAINS)]
    chains += ["  %j = add i64 %i, 1", "  %more = icmp slt i64 %j, %n", "  br i1 %more, label %loop, label %done"]
    chains += ["done:", f"  %t0 = fadd {vec} %d0, %d1"]
    chains += [f"  %t{c - 1} = fadd {vec} %t{c - 2}, %d{c}" for c in range(2, CHAINS)]
    chains += [f"  store {vec} %t{CHAINS - 2}, ptr %out, align 4", "  ret void", "}"]
    sweep = [f"define void @sweep(i64 %n, i64 %times, {real} %rate, ptr %p, ptr %m, ptr %v) {{", "entry:"]
    sweep += [*splat("r", "%rate"), "  br label %again", "again:", "  %t = phi i64 [0, %entry], [%u, %swept]"]
    sweep += ["  br label %loop", "loop:", "  %i = phi i64 [0, %again], [%j, %loop]"]
    for name in "mvp":
        sweep += [
            f"  %{name}at = getelementptr {real}, ptr %{name}, i64 %i",
            f"  %{name}old = load {vec}, ptr %{name}at, align 4",
            f"  %{name}new = call {vec} @llvm.fma.{size}({vec} %{name}old, {vec} %r, {vec} %r)",
            f"  store {vec} %{name}new, ptr %{name}at, align 4",
        ]
    sweep += [f"  %j = add i64 %i, {lanes}", "  %more = icmp slt i64 %j, %n"]
    sweep += ["  br i1 %more, label %loop, label %swept", "swept:", "  %u = add i64 %t, 1"]
    sweep += ["  %left = icmp slt i64 %u, %times", "  br i1 %left, label %again, label %done"]
    sweep += ["done:", "  ret void", "}"]
    return "\n".join([*chains, *sweep])


@cache
def kernels(dtype: str) -> Kernels:
    """Compiled in this process, in some 50 ms.

    Raises:
        ModuleNotFoundError: Numba is not installed, whose compiler this is.
    """
    from llvmlite import binding

    from ..backends.numba_cpu.cpu import cpu, vector_bytes

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    name, features = cpu()
    real, number = ("float", ctypes.c_float) if dtype == "float32" else ("double", ctypes.c_double)
    lanes = vector_bytes() // np.dtype(dtype).itemsize
    target = binding.Target.from_default_triple()
    machine = target.create_target_machine(cpu=name, features=features, opt=3, codemodel="jitdefault", jit=True)
    module = binding.parse_assembly(_source(real, lanes))
    module.triple = binding.get_default_triple()
    module.verify()
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    address, size = ctypes.c_void_p, ctypes.c_int64
    chains = ctypes.CFUNCTYPE(None, size, number, number, address)(engine.get_function_address("fma_chains"))
    sweep = ctypes.CFUNCTYPE(None, size, size, number, address, address, address)(engine.get_function_address("sweep"))
    return Kernels(chains, sweep, lanes, engine)


def together(threads: int, work: Callable[[int], Any]) -> float:
    """Seconds from when all threads are there until the last has done its part; ctypes lets go of the interpreter."""
    barrier = threading.Barrier(threads + 1)

    def part(number: int) -> None:
        barrier.wait()
        work(number)

    team = [threading.Thread(target=part, args=(number,)) for number in range(threads)]
    for thread in team:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in team:
        thread.join()
    return time.perf_counter() - start


def fastest(threads: int, seconds: float, work: Callable[[int, int], Any]) -> float:
    """The fewest seconds that `work(number, times)` took for one time, over calls of at least 5 ms."""
    times, spent, best = 1, 0.0, float("inf")
    while spent < seconds or best == float("inf"):
        now = times
        took = together(threads, lambda number, now=now: work(number, now))  # type: ignore[misc]
        if took < 0.005 and seconds:
            times *= 2
            continue
        spent, best = spent + took, min(best, took / times)
    return best


def peak(dtype: str, threads: int, seconds: float) -> float:
    """Flops a second of all threads together."""
    made, n = kernels(dtype), 100_000
    out = [np.zeros(64, dtype) for _ in range(threads)]  # cache lines of its own for each
    took = fastest(
        threads, seconds, lambda number, times: made.fma_chains(n * times, 0.999, 0.001, out[number].ctypes.data)
    )
    return float(2 * CHAINS * made.lanes * n * threads / took)


def bandwidth(dtype: str, threads: int, seconds: float, size: int) -> float:
    """Bytes a second, read and written, of a sweep over three vectors of `size` elements, shared by the threads."""
    made = kernels(dtype)
    part = max(1, -(-size // threads // 64)) * 64
    vectors = [[np.ones(part, dtype) for _ in range(3)] for _ in range(threads)]
    places = [[vector.ctypes.data for vector in own] for own in vectors]
    took = fastest(threads, seconds, lambda number, times: made.sweep(part, times, 0.5, *places[number]))
    return float(6 * part * threads * np.dtype(dtype).itemsize / took)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """peak, and bandwidth for each of `sizes` (elements), both per second."""
    from llvmlite import binding

    from ..backends.numba_cpu.cpu import cpu, vector_bytes

    given = job["dtype"], job["threads"], job["seconds"]
    found = {
        "peak": peak(*given),
        "bandwidth": {str(size): bandwidth(*given, size) for size in job["sizes"]},
        "runs": f"{cpu()[0]}, vectors of {8 * vector_bytes()} bits",
    }
    return found | {"version": f"limits by LLVM {'.'.join(map(str, binding.llvm_version_info))}"}
