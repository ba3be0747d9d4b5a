"""Steps along the gradient, or along its sign."""

from __future__ import annotations

from typing import Unpack

from ..core.declaration import number
from ..core.types import OptimizerArguments
from .base import COMMON, Optimizer
from .schedules import LearningRateSchedule


class SGD(Optimizer):
    """Gradient descent, plain, with momentum, or with Nesterov momentum.

    Math: theta -= lr g; or m = mu m - lr g, theta += m; or m = mu m - lr g, theta += mu m - lr g.

    Args:
        learning_rate: lr, at least 0, or a schedule.
        momentum: mu in [0, 1].
        nesterov: whether the last form.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Example:
        >>> import fastnn
        >>> weight = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), weight])
        >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
        >>> loss = model.train_on_batch([[1.0]], [[2.0]])  # the gradient of (w - 2)^2 at 0 is -4
        >>> print(model.get_weights()[0])
        [[1.]]
    """

    fields = ("learning_rate", "momentum", "nesterov", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = number("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        if self.momentum == 0.0:
            return "sgd", ()
        return "nesterov" if self.nesterov else "momentum", (self.momentum,)


class Lion(Optimizer):
    """Steps of one size along the sign of a running mean.

    Math: theta -= lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g.

    Args:
        learning_rate: lr, at least 0, or a schedule; three to ten times less than Adam's.
        beta_1, beta_2: in (0, 1].

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.Lion(0.1), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # only the sign of the gradient counts
        >>> round(float(layer.kernel[0, 0]), 4)
        0.9
    """

    fields = ("learning_rate", "beta_1", "beta_2", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = number("Lion", "beta_1", beta_1, 0.0, 1.0, "(]")
        self.beta_2 = number("Lion", "beta_2", beta_2, 0.0, 1.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "lion", (self.beta_1, self.beta_2)
