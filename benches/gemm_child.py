"""One library, in a process of its own: times matrix products of many shapes on prepared arrays. Started by gemm.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.benchmarks import models
from fastnn.benchmarks.processes import Found, repeat
from fastnn.benchmarks.processors import runs_on

Array = NDArray[Any]
Product = Callable[[str, Array, Array, Array], Callable[[], Any]]  # form, C, A, B: a call that fills C

SAMPLE = 8  # rows at each end of C that are compared with a wider product
WIDER = {"float32": np.float64, "float64": np.longdouble}


def fastnn_product(job: Found) -> Product:
    """The backend's operation, prepared."""
    from fastnn import backends

    operations = backends.get(job["backend"]).operations(job["dtype"])

    def prepare(form: str, C: Array, A: Array, B: Array) -> Callable[[], Any]:
        return operations[f"gemm_{form}"].prepare(C, A, B)

    return prepare


def numpy_product(job: Found) -> Product:
    """matmul into C: OpenBLAS."""

    def prepare(form: str, C: Array, A: Array, B: Array) -> Callable[[], Any]:
        left, right = oriented(form, A, B)
        return lambda: np.matmul(left, right, out=C)

    return prepare


def torch_product(job: Found) -> Product:
    """mm into C."""
    import torch

    torch.set_num_threads(job["threads"])

    def prepare(form: str, C: Array, A: Array, B: Array) -> Callable[[], Any]:
        left, right = oriented(form, torch.from_numpy(A), torch.from_numpy(B))
        out = torch.from_numpy(C)
        return lambda: torch.mm(left, right, out=out)

    return prepare


PRODUCTS = {"fastnn": fastnn_product, "numpy": numpy_product, "torch": torch_product}


def oriented(form: str, A: Any, B: Any) -> tuple[Any, Any]:
    """What is multiplied, as views: "tn" stores A transposed, "nt" stores B so."""
    return A.T if form == "tn" else A, B.T if form == "nt" else B


def matrix(rng: np.random.Generator, rows: int, columns: int, stride: int, dtype: str) -> Array:
    """Normal numbers, in rows that lie `stride` elements apart (0: without a gap)."""
    whole = rng.standard_normal((rows, max(stride, columns)), dtype=np.float32).astype(dtype)
    return whole[:, :columns]


def error(form: str, C: Array, A: Array, B: Array) -> float:
    """The largest difference from a wider product in some rows, over eps, the root of k and the largest value. Not by
    `@`: OpenBLAS's threads would look for more work on the cores that are measured next."""
    left, right = oriented(form, A, B)
    rows = np.r_[: min(SAMPLE, len(C)), max(0, len(C) - SAMPLE) : len(C)]
    wider = WIDER[C.dtype.name]
    exact = np.einsum("ik,kj->ij", left[rows].astype(wider), right.astype(wider))
    scale = np.finfo(C.dtype).eps * np.sqrt(left.shape[1]) * np.abs(exact).max()
    return float(np.abs(C[rows] - exact).max() / scale)


def measure(job: Found) -> Found:
    """times: for each of `cases` (form, m, n, k, stride), seconds of each repetition; first: until C was there once."""
    start = time.perf_counter()
    prepare = PRODUCTS[job["library"]](job)
    rng = np.random.default_rng(0)
    times, errors, first = [], [], 0.0
    for form, m, n, k, stride in job["cases"]:
        A = matrix(rng, *((k, m) if form == "tn" else (m, k)), stride, job["dtype"])
        B = matrix(rng, *((n, k) if form == "nt" else (k, n)), stride, job["dtype"])
        C = matrix(rng, m, n, stride, job["dtype"])
        call = prepare(form, C, A, B)
        call()
        first = first or time.perf_counter() - start
        errors.append(error(form, C, A, B))
        times.append(repeat(call, job["seconds"]))
    return {
        "times": times,
        "error": max(errors),
        "first": first,
        "runs": runs_on(job),
        "version": models.version(job["library"]),
    }
