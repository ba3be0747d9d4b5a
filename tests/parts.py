"""A model's file taken apart, for the tests of files that are not what they should be."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import fastnn
from fastnn import layers, models
from nets import Array, blobs, net


def trained() -> fastnn.Sequential:
    """A small model with an entry of each kind in its file."""
    stack = (layers.Dense(8, "tanh"), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(3, "softmax"))
    rate = fastnn.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    model = net(
        *stack,
        optimizer=fastnn.optimizers.Adam(rate, clipnorm=1.0),
        loss="sparse_categorical_crossentropy",
        metrics=["acc"],
    )
    model.metadata = {"classes": ["a", "b", "c"]}
    model.fit(*blobs(), verbose=0)
    return model


@cache
def architecture() -> str:
    """What `blank` is made of."""
    return trained().to_json()


def blank() -> fastnn.Sequential:
    """A model of the same layers, as it is before any file is read."""
    model = models.model_from_json(architecture())
    assert isinstance(model, fastnn.Sequential)
    return model


@cache
def good_file() -> bytes:
    """The content of a file of `trained()`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        trained().save(path)
        return path.read_bytes()


class Parts:
    """The parts of a file, to be changed and put together again."""

    def __init__(self, content: bytes) -> None:
        (length,) = struct.unpack("<Q", content[:8])
        self.header: dict[str, Any] = json.loads(content[8 : 8 + length])
        self.description: Any = json.loads(self.header["__metadata__"]["fastnn"])
        self.data = bytearray(content[8 + length :])

    def content(self, description: str | None = None) -> bytes:
        """The file; `description` instead of the one that the parts have."""
        text = json.dumps(self.description) if description is None else description
        if "__metadata__" in self.header:
            self.header["__metadata__"]["fastnn"] = text
        header = json.dumps(self.header).encode()
        return struct.pack("<Q", len(header)) + header + bytes(self.data)

    def array(self, name: str, dtype: str = "float32") -> Array:
        """A tensor, to be written to."""
        start, stop = self.header[name]["data_offsets"]
        return np.frombuffer(memoryview(self.data)[start:stop], dtype)

    def resize(self, name: str, length: int) -> None:
        """Gives a tensor another number of bytes."""
        start, stop = self.header[name]["data_offsets"]
        self.data[start:stop] = self.data[start : min(stop, start + length)].ljust(length, b"\0")
        for entry in self.header.values():
            if entry.get("data_offsets", [0])[0] >= stop:
                entry["data_offsets"] = [offset + length - (stop - start) for offset in entry["data_offsets"]]
        self.header[name]["data_offsets"] = [start, start + length]

    def reshape(self, name: str, *shape: int) -> None:
        """Gives a tensor another shape."""
        self.header[name]["shape"] = list(shape)
        self.resize(name, 4 * int(np.prod(shape)))

    @property
    def layers(self) -> Any:
        """The configs of the layers."""
        return [entry["config"] for entry in self.description["model"]["config"]["layers"]]
