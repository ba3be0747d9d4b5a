"""Steps divided by what squared gradients have been: a rate for each parameter."""

from __future__ import annotations

from typing import Unpack

from ..core.declaration import flag, number
from ..core.types import OptimizerArguments
from .base import COMMON, Optimizer
from .schedules import LearningRateSchedule


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient, or by its deviation.

    Math: v = rho v + (1 - rho) g^2; theta -= lr g / sqrt(v + epsilon). With momentum m = mu m + lr g / sqrt(...),
    theta -= m. Centred: a = rho a + (1 - rho) g, and v - a^2 in the place of v under the root.

    Args:
        learning_rate: lr, at least 0, or a schedule.
        rho: in [0, 1).
        momentum: mu in [0, 1].
        epsilon: at least 0.
        centered: whether steps are divided by the deviation.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: T. Tieleman, G. Hinton, Neural networks for machine learning, lecture 6.5, 2012.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.RMSprop(0.1), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # 0.1 2 / sqrt(0.1 2^2)
        >>> round(float(layer.kernel[0, 0]), 4)
        0.6838
    """

    fields = ("learning_rate", "rho", "momentum", "epsilon", "centered", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = number("RMSprop", "rho", rho, 0.0, 1.0, "[)")
        self.momentum = number("RMSprop", "momentum", momentum, 0.0, 1.0)
        self.epsilon = number("RMSprop", "epsilon", epsilon, 0.0)
        self.centered = flag("RMSprop", "centered", centered)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        name = "rmsprop_centered" if self.centered else "rmsprop"
        if self.momentum == 0.0:
            return name, (self.rho, self.epsilon)
        return f"{name}_momentum", (self.rho, self.epsilon, self.momentum)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    Math: v = v + g^2, from v = initial_accumulator_value; theta -= lr g / sqrt(v + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        initial_accumulator_value: at least 0.
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.Adagrad(0.1), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # 0.1 2 / sqrt(0.1 + 2^2)
        >>> round(float(layer.kernel[0, 0]), 4)
        0.9012
    """

    fields = ("learning_rate", "initial_accumulator_value", "epsilon", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = number("Adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0)
        self.epsilon = number("Adagrad", "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adagrad", (self.epsilon,)

    def _initial(self) -> tuple[float, ...]:
        return (self.initial_accumulator_value,)


class Adadelta(Optimizer):
    """Steps in the ratio of the root mean squares of past steps and of gradients.

    Math: v = rho v + (1 - rho) g^2; s = sqrt(d + epsilon) / sqrt(v + epsilon) g; d = rho d + (1 - rho) s^2;
    theta -= lr s.

    Args:
        learning_rate: lr, at least 0, or a schedule; 1.0 is that of the paper.
        rho: in [0, 1).
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: M. D. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.Adadelta(1.0), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # with no past steps, the first is tiny whatever the rate
        >>> round(float(layer.kernel[0, 0]), 4)
        0.9986
    """

    fields = ("learning_rate", "rho", "epsilon", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = number("Adadelta", "rho", rho, 0.0, 1.0, "[)")
        self.epsilon = number("Adadelta", "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adadelta", (self.rho, self.epsilon)


class Ftrl(Optimizer):
    """Follow the regularized leader: weights that penalties hold at exactly 0 until gradients have earned them.

    Math: w = v + g^2; z += g + 2 shrinkage theta - (w^-p - v^-p) / lr theta; theta = (clip(z, -l1, l1) - z) /
    (w^-p / lr + 2 l2 + beta / lr); v = w; from v = initial_accumulator_value, with p = learning_rate_power.

    Args:
        learning_rate: lr, above 0, or a schedule.
        learning_rate_power: p, at most 0; -0.5 is the root.
        initial_accumulator_value: at least 0.
        l1_regularization_strength, l2_regularization_strength: l1 and l2, at least 0.
        l2_shrinkage_regularization_strength: shrinkage, at least 0.
        beta: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.Ftrl(0.1, l1_regularization_strength=5.0), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # less than the penalty: it stays at 0
        >>> float(layer.kernel[0, 0])
        0.0
    """

    fields = (
        "learning_rate",
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
        *COMMON,
    )

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power = number("Ftrl", "learning_rate_power", learning_rate_power, high=0.0)
        given = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
            "beta": beta,
        }
        for name, value in given.items():
            setattr(self, name, number("Ftrl", name, value, 0.0))

    def _step(self) -> tuple[str, tuple[float, ...]]:
        constants = (
            self.l1_regularization_strength,
            self.l2_regularization_strength,
            self.l2_shrinkage_regularization_strength,
            self.beta,
        )
        if self.learning_rate_power == -0.5:
            return "ftrl", constants
        return "ftrl_power", (*constants, -self.learning_rate_power)

    def _initial(self) -> tuple[float, ...]:
        return self.initial_accumulator_value, 0.0
