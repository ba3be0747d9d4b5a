"""What this machine can do at most: fused multiply-adds a second, and bytes a second at a size.

A few lines of C are compiled for this processor: twelve independent chains of vector fma for the peak, and a sweep that
reads and writes three vectors, as Adam does, for the bandwidth. A vector that fits a cache is swept in that cache, so
the bandwidth is that of the size. Other scripts run this file as a child beside the libraries, in the same rounds.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import common

# Twice the latency of an fma; AVX2's 16 registers hold them and two factors. They begin apart, or a compiler finds that
# they are one.
CHAINS = 12

SOURCE = """
#include <stddef.h>
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
typedef REAL vec __attribute__((vector_size(BYTES)));

size_t lanes(void) { return BYTES / sizeof(REAL); }

void fma_chains(size_t n, REAL factor, REAL term, REAL *out)
{
    const vec a = factor - (vec){0}, b = term - (vec){0};
    vec START;
    for (size_t i = 0; i < n; i++) { STEP }
    vec sum = SUM;
    *out = sum[0];
}

void sweep(size_t n, size_t times, REAL rate, REAL *restrict p, REAL *restrict m, REAL *restrict v)
{
    for (size_t t = 0; t < times; t++)
        for (size_t i = 0; i < n; i++) {
            m[i] = m[i] * rate + rate;
            v[i] = v[i] * rate + rate;
            p[i] = p[i] * rate + rate;
        }
}
"""


def compiler() -> str:
    """The C compiler: CC, else the first that there is.

    Raises:
        ModuleNotFoundError: none, which skips whatever needs these limits.
    """
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise ModuleNotFoundError("no C compiler", name="a C compiler (CC, cc, gcc or clang)")


def library(dtype: str, folder: str, avx2: bool) -> ctypes.CDLL:
    """The two kernels, compiled."""
    chains = [f"c{number}" for number in range(CHAINS)]
    source = (
        SOURCE.replace("START", ", ".join(f"{chain} = a + {number}" for number, chain in enumerate(chains)))
        .replace("STEP", " ".join(f"{chain} = {chain} * a + b;" for chain in chains))
        .replace("SUM", " + ".join(chains))
    )
    path = Path(folder) / "limits.c"
    path.write_text(source)
    level = ["-mavx2", "-mfma"] if avx2 else ["-march=native"]
    real = "float" if dtype == "float32" else "double"
    built = path.with_suffix(".so")
    flags = ["-O3", *level, "-ffp-contract=fast", "-fPIC", "-shared", f"-DREAL={real}"]
    subprocess.run([compiler(), *flags, str(path), "-o", str(built)], check=True)
    loaded = ctypes.CDLL(str(built))
    real_type = ctypes.c_float if dtype == "float32" else ctypes.c_double
    loaded.lanes.restype = ctypes.c_size_t
    loaded.fma_chains.argtypes = [ctypes.c_size_t, real_type, real_type, ctypes.c_void_p]
    loaded.sweep.argtypes = [ctypes.c_size_t, ctypes.c_size_t, real_type, *[ctypes.c_void_p] * 3]
    return loaded


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
    """The fewest seconds that `work(number, times)` took for one time, over calls of at least 20 ms."""
    times, spent, best = 1, 0.0, float("inf")
    while spent < seconds or best == float("inf"):
        now = times
        took = together(threads, lambda number, now=now: work(number, now))  # type: ignore[misc]
        if took < 0.02 and seconds:
            times *= 2
            continue
        spent, best = spent + took, min(best, took / times)
    return best


def peak(c: ctypes.CDLL, dtype: str, threads: int, seconds: float) -> float:
    """Flops a second of all threads together."""
    n = 100_000
    out = [np.zeros(64, dtype) for _ in range(threads)]  # a cache line of its own for each
    took = fastest(
        threads, seconds, lambda number, times: c.fma_chains(n * times, 0.999, 0.001, out[number].ctypes.data)
    )
    return float(2 * CHAINS * c.lanes() * n * threads / took)


def bandwidth(c: ctypes.CDLL, dtype: str, threads: int, seconds: float, size: int) -> float:
    """Bytes a second, read and written, of a sweep over three vectors of `size` elements, shared by the threads."""
    part = max(64, -(-size // threads))
    vectors = [[np.ones(part, dtype) for _ in range(3)] for _ in range(threads)]
    places = [[vector.ctypes.data for vector in own] for own in vectors]
    took = fastest(threads, seconds, lambda number, times: c.sweep(part, times, 0.5, *places[number]))
    return float(6 * part * threads * np.dtype(dtype).itemsize / took)


def measure(job: common.Found) -> common.Found:
    """peak, and bandwidth for each of `sizes` (elements), both per second; at AVX2 if `avx2`."""
    with tempfile.TemporaryDirectory() as folder:
        c = library(job["dtype"], folder, job["avx2"])
        given = job["dtype"], job["threads"], job["seconds"]
        found = {
            "peak": peak(c, *given),
            "bandwidth": {str(size): bandwidth(c, *given, size) for size in job["sizes"]},
        }
        line = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True).stdout
    return found | {"version": f"limits by {line.splitlines()[0]}"}


if __name__ == "__main__":
    common.serve(measure)
