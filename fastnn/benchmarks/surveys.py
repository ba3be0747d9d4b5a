"""What a page shows beside one training: the speed by width and by batch, and what every operation reaches."""

from __future__ import annotations

import statistics

import numpy as np

from . import models, training
from .processes import Found, repeat

SECONDS = 0.01  # of repeating an operation


def measure(job: Found) -> Found:
    """speeds: samples a second of each of `networks`, where the job has some; else operations: flops for a byte, and
    Gflops a second, of each operation of the table; peak, cache and memory: what the machine can do a second, Gflops
    and GB."""
    if "networks" in job:
        speeds = []
        for network in job["networks"]:
            seconds = training.measure(job | network)["epochs"]
            speeds.append(network["rows"] / statistics.median(seconds))
        return {"speeds": speeds, "version": models.version(job["library"])}
    from ..core.operations import OPERATIONS
    from . import operations

    found = {}
    for name, operation in OPERATIONS.items():
        sizes = operations.given_shape(operation, "layer")
        flops, moved = operation.flops(sizes), operation.bytes(sizes, np.dtype("float32").itemsize)
        if flops:
            seconds = statistics.median(
                repeat(operations.prepared(operation, job["backend"], "float32", sizes), SECONDS)
            )
            found[name] = [flops / moved, flops / seconds / 1e9]
    known = operations.limits("float32", job["threads"])
    roof = {}
    if known is not None:
        fast, slow = max(known.bandwidth.values()), min(known.bandwidth.values())
        roof = {"peak": known.peak / 1e9, "cache": fast / 1e9, "memory": slow / 1e9}
    return {"operations": found, "roof": roof, "version": models.version(job["library"])}
