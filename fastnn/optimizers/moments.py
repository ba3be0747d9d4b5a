"""Steps from running means of the gradient and of its size: Adam and its kin."""

from __future__ import annotations

from typing import ClassVar, Unpack

from ..core.declaration import flag, number
from ..core.types import ClippingArguments, OptimizerArguments
from .base import COMMON, Optimizer
from .schedules import LearningRateSchedule


class _OfMoments(Optimizer):
    """What they share: two decay rates and an epsilon."""

    fields: ClassVar[tuple[str, ...]] = ("learning_rate", "beta_1", "beta_2", "epsilon", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        where = type(self).__name__
        self.beta_1 = number(where, "beta_1", beta_1, 0.0, 1.0, "[)")
        self.beta_2 = number(where, "beta_2", beta_2, 0.0, 1.0, "[)")
        self.epsilon = number(where, "epsilon", epsilon, 0.0)

    @property
    def _constants(self) -> tuple[float, ...]:
        return self.beta_1, self.beta_2, self.epsilon


class Adam(_OfMoments):
    """Steps from running means of the gradient and of its square.

    Math: m += (1 - b1)(g - m); v += (1 - b2)(g^2 - v); theta -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        beta_1, beta_2: in [0, 1).
        epsilon: at least 0; it comes before the correction of the means, unlike PyTorch's.
        amsgrad: whether steps are divided by the root of the largest v so far.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, end of section 2; S. J. Reddi,
    S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Example:
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile(fastnn.optimizers.Adam(0.5), "mse")
        >>> loss = model.train_on_batch([[1.0]], [[2.0]])  # the first step is as long as the rate
        >>> round(float(model.get_weights()[0][0, 0]), 4)
        0.5
    """

    fields = ("learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad", *COMMON)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Unpack[OptimizerArguments],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.amsgrad = flag(type(self).__name__, "amsgrad", amsgrad)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "amsgrad" if self.amsgrad else "adam", self._constants


class AdamW(Adam):
    """Adam with decoupled weight decay of 0.004, on biases too unless `exclude_from_weight_decay` names them.

    Math: theta -= lr weight_decay theta, then the step of Adam.

    Args:
        learning_rate: lr, at least 0, or a schedule.
        weight_decay: at least 0.
        beta_1, beta_2, epsilon, amsgrad: as Adam.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.AdamW(0.1, weight_decay=0.5), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # 0.1 for the gradient, 0.1 0.5 for the decay
        >>> round(float(layer.kernel[0, 0]), 4)
        0.85
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Unpack[ClippingArguments],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)


class Adamax(_OfMoments):
    """Adam with the largest gradient of late in the place of the root mean square.

    Math: m += (1 - b1)(g - m); u = max(b2 u, |g|); theta -= lr / (1 - b1^t) m / (u + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        beta_1, beta_2: in [0, 1).
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.Adamax(0.1), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # the first step is as long as the rate
        >>> round(float(layer.kernel[0, 0]), 4)
        0.9
    """

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adamax", self._constants


class Nadam(_OfMoments):
    """Adam with Nesterov's momentum.

    Math: u_t = b1 (1 - 0.96^t / 2), U_t = u_1 ... u_t; m, v as Adam; n = u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g /
    (1 - U_t); theta -= lr n / (sqrt(v / (1 - b2^t)) + epsilon).

    Args:
        learning_rate: lr, at least 0, or a schedule.
        beta_1, beta_2: in [0, 1).
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop.

    Example:
        >>> import fastnn
        >>> layer = fastnn.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> model = fastnn.Sequential([fastnn.Input((1,)), layer])
        >>> model.compile(fastnn.optimizers.Nadam(0.1), "mse")
        >>> model.apply_gradients({"dense/kernel": [[2.0]]})  # the first step, where Adam's is 0.1
        >>> round(float(layer.kernel[0, 0]), 4)
        0.8937
    """

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "nadam", self._constants
