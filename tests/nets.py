"""Small models and data for the tests of the public API."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnn
from fastnn import layers
from support import CLASSES, load

Array = npt.NDArray[Any]

every_backend = pytest.mark.parametrize("backend", CLASSES)


def wave(*shape: int, phase: float = 0.0) -> Array:
    """Numbers in [-1, 1] that look unordered and are the same everywhere."""
    i = np.arange(int(np.prod(shape)), dtype=np.float64)
    return np.sin(1.7 * i * i + 3.1 * i + phase).reshape(shape)


def blobs(n: int = 60, classes: int = 3, features: int = 4) -> tuple[Array, Array]:
    """Rows around a centre for each class, and the class numbers."""
    y = np.arange(n) % classes
    return wave(classes, features, phase=0.5)[y] * 2.0 + 0.3 * wave(n, features), y


def net(
    *stack: Any,
    backend: str = "reference",
    features: int = 4,
    seed: int = 1,
    optimizer: Any = "sgd",
    loss: Any = "mse",
    **compile_arguments: Any,
) -> fastnn.Sequential:
    """A compiled model of layers; by default one linear unit."""
    fastnn.config.set_seed(seed)
    model = fastnn.Sequential([fastnn.Input((features,)), *(stack or (layers.Dense(1),))])
    fastnn.config.set_seed(None)
    model.compile(optimizer=optimizer, loss=loss, backend=load(backend), **compile_arguments)
    return model


def classifier(backend: str = "reference", dtype: str = "float32", **compile_arguments: Any) -> fastnn.Sequential:
    """A compiled model of 4 features and 3 classes."""
    stack = (layers.Dense(8, "tanh", dtype=dtype), layers.Dense(3, "softmax", dtype=dtype))
    told = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam"} | compile_arguments
    return net(*stack, backend=backend, **told)
