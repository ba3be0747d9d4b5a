"""Memory of one training, in a process of its own; or of the same arrays with NumPy alone. Started by startup.py."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import common
import models


def status(name: str) -> int:
    """Bytes that Linux tells of this process: VmRSS now, VmHWM at most so far, which unlike `ru_maxrss` starts anew in
    each program. Elsewhere the most so far for both."""
    table = Path("/proc/self/status")
    if table.exists():
        line = next(line for line in table.read_text().splitlines() if line.startswith(f"{name}:"))
        return 1024 * int(line.split()[1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def train(job: common.Found, X: models.Floats, y: models.Labels) -> list[int]:
    """Memory after each epoch of one fit."""
    import fastnn

    class Watch(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            after.append(status("VmRSS"))

    after: list[int] = []
    model = models.sequential(fastnn, job["widths"])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", backend=job["backend"])
    model.fit(X, y, batch_size=job["batch"], epochs=job["epochs"], verbose=0, callbacks=[Watch()])
    return after


def measure(job: common.Found) -> common.Found:
    """after: bytes after each epoch, with NumPy alone of what there is; peak: bytes at most."""
    X, y = models.data(job["widths"], job["rows"])
    after = train(job, X, y) if job["library"] == "fastnn" else [status("VmRSS")]
    return {"peak": status("VmHWM"), "after": after, "version": models.version(job["library"])}


if __name__ == "__main__":
    common.serve(measure)
