"""One small training through the public API, whose digest tells whether two runs were the same; for child processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import fastnn
from fastnn import layers
from nets import wave

X = wave(512, 64).astype("float32")
Y = abs(X[:, :10]).argmax(axis=1)


def model(backend: str) -> fastnn.Sequential:
    """Large enough that each step repays two threads; with the same seed in whatever thread it is made."""
    made = fastnn.Sequential()
    made.seed = 7
    for layer in (
        fastnn.Input((64,)),
        layers.Dense(128, "relu"),
        layers.Dropout(0.2),
        layers.Dense(10, "softmax"),
    ):
        made.add(layer)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], backend=backend)
    return made


def digest(made: fastnn.Sequential) -> str:
    """Of the weights."""
    return hashlib.sha256(b"".join(array.tobytes() for array in made.get_weights())).hexdigest()


def trained(backend: str, made: fastnn.Sequential | None = None) -> str:
    """The digest of a model after three epochs more; of a new one by default."""
    made = made or model(backend)
    made.fit(X, Y, epochs=3, batch_size=128, verbose=0)
    return digest(made)


def forked(work: Callable[[], str]) -> str:
    """What `work` gives in a forked child."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(told, work().encode())
        finally:
            os._exit(0)  # without the parent's files, threads and exit handlers
    os.close(told)
    with os.fdopen(heard) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text
