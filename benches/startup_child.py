"""Memory of one training, in a process of its own; or of the same arrays with NumPy alone. Started by startup.py."""

from __future__ import annotations

from typing import Any

from fastnn.benchmarks import models
from fastnn.benchmarks.processes import Found, memory


def train(job: Found, X: models.Floats, y: models.Labels) -> list[int]:
    """Memory after each epoch of one fit."""
    import fastnn

    class Watch(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            after.append(memory("VmRSS"))

    after: list[int] = []
    model = models.sequential(fastnn, job["widths"])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", backend=job["backend"])
    model.fit(X, y, batch_size=job["batch"], epochs=job["epochs"], verbose=0, callbacks=[Watch()])
    return after


def measure(job: Found) -> Found:
    """after: bytes after each epoch, with NumPy alone of what there is; peak: bytes at most."""
    X, y = models.data(job)
    after = train(job, X, y) if job["library"] == "fastnn" else [memory("VmRSS")]
    return {"peak": memory("VmHWM"), "after": after, "version": models.version(job["library"])}
