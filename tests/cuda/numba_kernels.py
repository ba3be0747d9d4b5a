"""Kernels by Numba's compiler, which asks no driver: material for the emulated card that nobody wrote for it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import dispatcher, libdevice, types

BLOCK = 128


def reversed_and_next(x: Any, y: Any, n: Any) -> None:
    """y[i] = x[the block's mirror of i] + x[i + 1 within the warp]."""
    i = cuda.grid(1)
    tile = cuda.shared.array(BLOCK, np.float32)
    tile[cuda.threadIdx.x] = x[i]
    cuda.syncthreads()
    if i < n:
        neighbour = cuda.shfl_down_sync(0xFFFFFFFF, x[i], 1)
        y[i] = libdevice.fadd_rn(tile[BLOCK - 1 - cuda.threadIdx.x], neighbour)


def expected(x: Any) -> Any:
    """What the kernel above gives: a warp's last lane keeps its own."""
    mirrored = x.reshape(-1, BLOCK)[:, ::-1].reshape(-1)
    warps = x.reshape(-1, 32)
    return mirrored + np.concatenate([warps[:, 1:], warps[:, -1:]], axis=1).reshape(-1)


def compiled(target: str) -> tuple[str, str]:
    """The PTX of the kernel above, and its name."""
    capability = divmod(int(target.removeprefix("sm_")), 10)
    asked = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    array = types.float32[::1]
    signature = types.void(array, array, types.int32)
    try:
        text, _ = cuda.compile(reversed_and_next, signature, device=False, abi="numba", cc=capability, lineinfo=True)
    finally:
        dispatcher.get_current_device = asked
    return text, text.split(".entry ")[1].split("(")[0]
