"""Matrix products, with K in chunks of 256; dense layers are made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.algebra import Formula, NumpyAlgebra
from ...core.arithmetic import K_CHUNK
from ...core.arrays import Array
from .chains import ELEMENTS, chain

Operation = Callable[..., None]


def operations(o: NumpyAlgebra) -> dict[str, Operation]:
    """The rows of the families GEMM_NN, GEMM_TN, GEMM_NT, DENSE_FORWARD and BIAS_BACKWARD."""

    def gemm_nn(C_mn: Array, A_mk: Array, B_kn: Array) -> None:
        C_mn[...] = product(o, A_mk, B_kn)

    def gemm_tn(C_mn: Array, A_km: Array, B_kn: Array) -> None:
        C_mn[...] = product(o, A_km.T, B_kn)

    def gemm_nt(C_mn: Array, A_mk: Array, B_nk: Array) -> None:
        C_mn[...] = product(o, A_mk, B_nk.T)

    def dense_forward(Z_bo: Array, X_bi: Array, W_io: Array, b_o: Array) -> None:
        Z_bo[...] = product(o, X_bi, W_io) + b_o

    def bias_backward(db_o: Array, dZ_bo: Array) -> None:
        ones = o.constant(1.0)[None, None].repeat(dZ_bo.shape[0], axis=1)
        db_o[...] = product(o, ones, dZ_bo)[0]

    return {
        "gemm_nn": gemm_nn,
        "gemm_tn": gemm_tn,
        "gemm_nt": gemm_nt,
        "dense_forward": dense_forward,
        "bias_backward": bias_backward,
    }


def product(o: NumpyAlgebra, A_mk: Array, B_kn: Array) -> Array:
    """A B: each chunk accumulates from +0 by fma in ascending k, and chunks add up in order."""
    C_mn = np.zeros((A_mk.shape[0], B_kn.shape[1]), o.dtype)
    rows = max(1, ELEMENTS // max(1, C_mn.shape[1]))
    for start in range(0, len(C_mn), rows):
        some = C_mn[start : start + rows]
        some[...] = chunks(o, A_mk[start : start + rows].T[:, :, None], B_kn[:, None, :], some)
    return C_mn


def column_dot(o: NumpyAlgebra, X_bo: Array, Y_bo: Array) -> Array:
    """The sum over the batch of x y for each column, in the order of `product`."""
    return chunks(o, X_bo, Y_bo, np.zeros(X_bo.shape[1], o.dtype))


def chunks(o: NumpyAlgebra, a: Array, b: Array, zero: Array) -> Array:
    """The sum of a[k] * b[k], of the shape of `zero`: a chain for each chunk."""
    total = chain(o, a[:K_CHUNK], b[:K_CHUNK], zero)
    for start in range(K_CHUNK, len(a), K_CHUNK):
        total = total + chain(o, a[start : start + K_CHUNK], b[start : start + K_CHUNK], zero)
    return total


def column_sum(o: NumpyAlgebra, term: Formula, X_bo: Array, Y_bo: Array) -> Array:
    """The sum over the batch for each column, in the order of `product`; `term(o, total, x, y)` adds one row."""
    zero = o.value(np.zeros(X_bo.shape[1]))
    total = zero
    for start in range(0, X_bo.shape[0], K_CHUNK):
        chunk = zero
        for x_o, y_o in zip(X_bo[start : start + K_CHUNK], Y_bo[start : start + K_CHUNK], strict=True):
            chunk = term(o, chunk, x_o, y_o)
        total = total + chunk if start else chunk
    return total
