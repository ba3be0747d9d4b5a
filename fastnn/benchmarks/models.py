"""What measured processes share: data, starting weights, and the same relu network in each library."""

from __future__ import annotations

import importlib
from importlib import metadata
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .networks import CLASSES

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

DISTRIBUTIONS = {"torch": "torch", "compile": "torch", "jax": "jax", "keras": "keras", "sklearn": "scikit-learn"}
DISTRIBUTIONS |= {"numpy": "numpy", "onnx": "onnxruntime"}


def version(library: str) -> str:
    """Name and version of what runs, also where fastnn runs from a checkout."""
    if library == "fastnn":
        return f"fastnn {importlib.import_module('fastnn').__version__}"
    name = DISTRIBUTIONS[library]
    return f"{name} {metadata.version(name)}"


def data(job: dict[str, Any]) -> tuple[Floats, Labels]:
    """The arrays X and y of the file `data`, or random rows with random labels."""
    if "data" in job:
        with np.load(job["data"]) as arrays:
            return arrays["X"], arrays["y"]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((job["rows"], job["widths"][0]), dtype=np.float32)
    return X, rng.integers(0, job["widths"][-1], job["rows"])


def start_weights(widths: list[int]) -> list[tuple[Floats, Floats]]:
    """Glorot uniform kernels and zero biases."""
    rng = np.random.default_rng(1)
    layers = []
    for fan_in, fan_out in pairwise(widths):
        limit = np.sqrt(6.0 / (fan_in + fan_out))
        kernel = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
        layers.append((kernel, np.zeros(fan_out, np.float32)))
    return layers


def targets(job: dict[str, Any], y: Labels) -> Any:
    """What a loss compares with: what a file gave, or the labels, a one for the label's output, or a half more or less
    than zero."""
    if job["loss"] == CLASSES or "data" in job:
        return y
    ones = np.eye(job["widths"][-1], dtype=np.float32)[y]
    return ones - np.float32(0.0 if job["loss"] == "binary_crossentropy" else 0.5)


def sequential(
    module: Any, widths: list[int], dropout: float = 0.0, output: str = "softmax", activation: str = "relu"
) -> Any:
    """Of Keras or fastnn, whose names are the same; its weights are its own."""
    layers: list[Any] = [module.Input((widths[0],))]
    for units in widths[1:-1]:
        layers.append(module.layers.Dense(units, activation=activation))
        if dropout:
            layers.append(module.layers.Dropout(dropout))
    return module.Sequential([*layers, module.layers.Dense(widths[-1], activation=output)])


def started(
    module: Any, widths: list[int], dropout: float = 0.0, output: str = "softmax", activation: str = "relu"
) -> Any:
    """`sequential` with the starting weights of all libraries."""
    model = sequential(module, widths, dropout, output, activation)
    model.set_weights([array for pair in start_weights(widths) for array in pair])
    return model


def torch_network(widths: list[int], activation: str = "relu") -> Any:
    """Without what the loss does; the starting weights of all others."""
    import torch

    names = {"relu": "ReLU", "elu": "ELU", "gelu": "GELU", "silu": "SiLU"}
    layer = getattr(torch.nn, names.get(activation, activation.capitalize()))
    layers: list[Any] = []
    for W, b in start_weights(widths):
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(W.T)))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, layer()]
    return torch.nn.Sequential(*layers[:-1])


def jax_logits(theta: Any, x: Any, activation: str = "relu") -> Any:
    """Of a list of (W, b)."""
    import jax

    function = getattr(jax.nn, activation)
    for W, b in theta[:-1]:
        z = x @ W + b
        x = function(z, approximate=False) if activation == "gelu" else function(z)
    W, b = theta[-1]
    return x @ W + b
