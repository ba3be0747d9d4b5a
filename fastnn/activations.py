"""Activations by name, and of arrays; what they compute is in `core/formulas.py`, `core/rowwise.py` and each backend's
`softmax.py`.

    >>> from fastnn import activations
    >>> print(activations.relu([-1.0, 0.0, 7.0]), activations.relu6([7.0]))
    [0. 0. 7.] [6.]
    >>> print(activations.leaky_relu([-1.0, 2.0]), activations.leaky_relu([-1.0], negative_slope=0.01))
    [-0.2  2. ] [-0.01]
    >>> print(activations.sigmoid([0.0]), activations.tanh([0.0]))  # the middle of each
    [0.5] [0.]
    >>> print(activations.elu([-99.0]), activations.celu([-99.0], alpha=2.0))  # both fall to -alpha
    [-1.] [-2.]
    >>> print(activations.selu([1.0]).round(4))  # lambda; without it rows would shrink from layer to layer
    [1.0507]
    >>> print(activations.softplus([0.0, 9.0]).round(2))  # log 2; far to the right it is x
    [0.69 9.  ]
    >>> print(activations.silu([-9.0, 9.0]).round(2), activations.mish([-9.0, 9.0]).round(2))
    [-0.  9.] [-0.  9.]
    >>> print(activations.gelu([1.0]).round(4), activations.gelu_tanh([1.0]).round(4))
    [0.8413] [0.8412]
    >>> print(activations.hard_sigmoid([-3.0, 0.0, 3.0]), activations.hard_silu([-3.0, 3.0]))  # straight lines
    [0.  0.5 1. ] [-0.  3.]
    >>> print(activations.softsign([1.0, 9.0]))  # x / (1 + |x|): slower than tanh to saturate
    [0.5 0.9]
    >>> print(activations.exponential([1.0]).round(4), activations.identity([1.0]))
    [2.7183] [1.]
    >>> print(activations.softmax([[0.0, 0.0]]), activations.log_softmax([[0.0, 0.0]]).round(4))  # of each row
    [[0.5 0.5]] [[-0.6931 -0.6931]]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

from numpy.typing import ArrayLike

from .backends import eager
from .core.absent import absent
from .core.arrays import Array
from .core.declaration import Config, Declaration, find, flag, number, refuse
from .core.formulas import ACTIVATIONS
from .errors import ArgumentError

BY_ROW = ("softmax", "log_softmax")  # those that need the whole row

# The parameters that the bare names stand for.
DEFAULTS = {"leaky_relu": 0.2, "elu": 1.0, "celu": 1.0}


class Activation(Declaration):
    """A name of `formulas.ACTIVATIONS`, of BY_ROW or "linear", with its parameter: a slope, an alpha; and a function of
    arrays.

    Args:
        name: which one.
        parameter: negative_slope of leaky_relu (0.2), alpha of elu and celu (1.0; of celu above 0); no other has one.

    Raises:
        ArgumentError: an unknown name, a parameter where there is none or out of its range.

    Example:
        >>> import fastnn
        >>> fastnn.activations.Activation("leaky_relu", 0.1)([-1.0, 1.0]).tolist()
        [-0.1, 1.0]
        >>> fastnn.layers.Dense(8, fastnn.activations.Activation("elu", 0.5)).activation
        Activation('elu', 0.5)
    """

    fields: ClassVar[tuple[str, ...]] = ("name", "parameter")
    instead: ClassVar[Mapping[str, str]] = {"": "apply functions of fastnn.ops in `call` of a subclass of Layer"}

    def __init__(self, name: str, parameter: float | None = None) -> None:
        if name not in ACTIVATIONS and name not in (*BY_ROW, "linear"):
            name = str(get(name).name)
        if parameter is not None and name not in DEFAULTS:
            raise ArgumentError(f"activation: {name} has no parameter, got {parameter!r}")
        self.name: str = name
        given = DEFAULTS.get(name, 0.0) if parameter is None else parameter
        self.parameter = number(name, "parameter", given, 0.0 if name == "celu" else -math.inf, ends="()")

    def get_config(self) -> Config:
        """The arguments that make an equal object."""
        return {"name": self.name, "parameter": self.parameter if self.name in DEFAULTS else None}

    def __repr__(self) -> str:
        return f"Activation({self.name!r}{'' if self.plain else f', {self.parameter!r}'})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and other.get_config() == self.get_config()

    def __hash__(self) -> int:
        return hash((self.name, self.parameter))

    def __call__(self, x: ArrayLike) -> Array:
        """The activation of an array of any shape; float64 stays float64, other dtypes become `config.floatx()`.

        Raises:
            ArgumentTypeError: not real numbers.
        """
        return eager.activate(self.name, self.parameter, x)

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def plain(self) -> bool:
        """Whether the bare name says everything."""
        return self.parameter == DEFAULTS.get(self.name, 0.0)


class _Relu(Activation):
    def __call__(
        self, x: object, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
    ) -> Array:
        """max(x, 0), or negative_slope * x below 0; at most max_value: 6, without a slope, is the only one that is
        supported, and threshold is not."""
        activation = rectifier("relu", max_value, number("relu", "negative_slope", negative_slope), threshold)
        return eager.activate(activation.name, activation.parameter, x)


class _LeakyRelu(Activation):
    def __call__(self, x: object, negative_slope: float | None = None) -> Array:
        """x, or negative_slope (0.2) times x below 0."""
        slope = self.parameter if negative_slope is None else number("leaky_relu", "negative_slope", negative_slope)
        return eager.activate("leaky_relu", slope, x)


class _Elu(Activation):
    def __call__(self, x: object, alpha: float | None = None) -> Array:
        """elu: x, or alpha (1) times e^x - 1 below 0; celu: x, or alpha (1, above 0) times e^(x / alpha) - 1."""
        chosen = self if alpha is None else Activation(self.name, number(self.name, "alpha", alpha))
        return eager.activate(self.name, chosen.parameter, x)


class _Gelu(Activation):
    def __call__(self, x: object, approximate: bool = False) -> Array:
        """x times the normal distribution function of x, or its approximation by tanh."""
        return eager.activate("gelu_tanh" if flag("gelu", "approximate", approximate) else "gelu", 0.0, x)


def rectifier(where: str, max_value: float | None, negative_slope: float, threshold: float) -> Activation:
    """relu, leaky_relu or relu6, by the arguments of Keras's relu.

    Raises:
        ArgumentError: a threshold, or a max_value other than 6 or beside a slope.
    """
    six = max_value == 6 and not negative_slope
    refuse(
        where,
        {"max_value": None if six else max_value, "threshold": number(where, "threshold", threshold)},
        {"max_value": None, "threshold": 0.0},
        (),
    )
    return relu6 if six else Activation("leaky_relu", negative_slope) if negative_slope else relu


class _Softmax(Activation):
    def __call__(self, x: object, axis: int = -1) -> Array:
        """e^x over its sum along an axis, or the logarithm of that."""
        return eager.activate(self.name, 0.0, x, axis)


linear = identity = Activation("linear")
sigmoid = Activation("sigmoid")
tanh = Activation("tanh")
relu = _Relu("relu")
leaky_relu = _LeakyRelu("leaky_relu")
elu = _Elu("elu")
selu = Activation("selu")
softplus = Activation("softplus")
silu = swish = Activation("silu")
gelu = _Gelu("gelu")
gelu_tanh = Activation("gelu_tanh")
relu6 = Activation("relu6")
hard_sigmoid = Activation("hard_sigmoid")
hard_silu = hard_swish = Activation("hard_silu")
mish = Activation("mish")
softsign = Activation("softsign")
exponential = Activation("exponential")
celu = _Elu("celu")
softmax = _Softmax("softmax")
log_softmax = _Softmax("log_softmax")

NAMES = {
    activation.name: activation
    for activation in (
        linear, sigmoid, tanh, relu, leaky_relu, elu, selu, softplus, silu, gelu, gelu_tanh, relu6, hard_sigmoid,
        hard_silu, mish, softsign, exponential, celu, softmax, log_softmax,
    )
} | {"identity": linear, "swish": silu, "hard_swish": hard_silu}  # fmt: skip


class ActivationLayer(Protocol):
    """A layer that is an activation, such as `layers.LeakyReLU()`."""

    @property
    def as_activation(self) -> Activation:
        """It."""


ActivationLike: TypeAlias = str | Activation | ActivationLayer | Config


def get(identifier: ActivationLike | None) -> Activation:
    """The activation that a name, a config, an `Activation` or an activation layer stands for; None is linear.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function of your own, or anything else.

    Example:
        >>> import fastnn
        >>> fastnn.activations.get("swish") is fastnn.activations.silu
        True
        >>> fastnn.activations.get("rely")
        Traceback (most recent call last):
            ...
        fastnn.errors.ArgumentError: activation: unknown name "rely"; did you mean "relu"?
    """
    if identifier is None:
        return linear
    identifier = getattr(identifier, "as_activation", identifier)  # a layer such as LeakyReLU()
    if isinstance(identifier, dict) and identifier.get("class_name") == "Activation":
        return Activation.from_config(identifier["config"])
    return find("activation", identifier, Activation, NAMES, "activations")


def serialize(activation: Activation) -> Config | str:
    """The name, or a config where the name does not say everything.

    Example:
        >>> import fastnn
        >>> fastnn.activations.serialize(fastnn.activations.relu)
        'relu'
        >>> fastnn.activations.serialize(fastnn.activations.Activation("elu", 0.5))
        {'class_name': 'Activation', 'config': {'name': 'elu', 'parameter': 0.5}}
    """
    return activation.name if activation.plain else {"class_name": "Activation", "config": activation.get_config()}


def deserialize(config: ActivationLike | None) -> Activation:
    """The activation of what `serialize` gave; as `get`.

    Example:
        >>> import fastnn
        >>> saved = fastnn.activations.serialize(fastnn.activations.Activation("elu", 0.5))
        >>> fastnn.activations.deserialize(saved)
        Activation('elu', 0.5)
    """
    return get(config)


def __getattr__(name: str) -> Any:
    return absent(__name__, name, NAMES)


__all__ = [
    "Activation",
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "gelu_tanh",
    "get",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "identity",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]
