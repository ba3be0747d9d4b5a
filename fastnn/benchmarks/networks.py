"""The networks of the tables, and what is trained of them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple


class Network(NamedTuple):
    """Widths from input to output, and rows an epoch: whole batches, near a second or less for the slowest peer."""

    name: str
    widths: list[int]
    batch: int
    rows: int

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def forward_flops(self) -> int:
        """Of the GEMMs that predict one row."""
        return 2 * sum(fan_in * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def step_flops(self) -> int:
        """Of the GEMMs of a training step: forward, dW, and dX of all layers but the first."""
        return self.batch * (3 * self.forward_flops - 2 * self.widths[0] * self.widths[1])


ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus")  # of the hidden layers
CLASSES = "sparse_categorical_crossentropy"  # the loss of a softmax on integer labels
LOSSES = (CLASSES, "binary_crossentropy", "mean_squared_error", "mean_absolute_error", "huber")
OPTIMIZERS = {"adam": 2, "sgd": 0, "momentum": 1, "rmsprop": 1, "adagrad": 1}  # slots of a parameter

# What trains them beside fastnn, by the names of options.
PEERS = {
    "jax": "JAX scan",
    "torch": "PyTorch",
    "compile": "PyTorch compile",
    "keras": "Keras on JAX",
    "sklearn": "scikit-learn",
    "numpy": "NumPy loop",
}

NETWORKS = [
    Network("64-32-10, 32", [64, 32, 10], 32, 32 * 1500),
    Network("784-128-10, 64", [784, 128, 10], 64, 64 * 400),
    Network("784-256-128-10, 128", [784, 256, 128, 10], 128, 128 * 160),
    Network("32-(64 x 8)-2, 256", [32, *[64] * 8, 2], 256, 256 * 200),
    Network("784-1024-1024-10, 256", [784, 1024, 1024, 10], 256, 256 * 24),
    Network("1024-4096-4096-16, 512", [1024, 4096, 4096, 16], 512, 512 * 2),
]


def own(widths: list[int], batch: int) -> Network:
    """A network of the caller's, with as much work an epoch as the third of the table."""
    named = Network(f"{'-'.join(map(str, widths))}, {batch}", widths, batch, 0)
    steps = max(2, min(1500, round(NETWORKS[2].step_flops * 160 / named.step_flops)))
    return named._replace(rows=batch * steps)
