"""Activations by name, and of arrays; what they compute is in `core/formulas.py` and each backend's `softmax.py`."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from .backends import eager
from .core.arrays import Array
from .core.declaration import Config, Declaration, absent, find, flag, names, number, refuse
from .core.formulas import ACTIVATIONS
from .errors import ArgumentError

# The parameters that the bare names stand for.
DEFAULTS = {"leaky_relu": 0.2, "elu": 1.0}


class Activation(Declaration):
    """A name of `formulas.ACTIVATIONS`, "softmax" or "linear", with its parameter: a slope, an alpha; and a function of
    arrays.

    Args:
        name: which one.
        parameter: negative_slope of leaky_relu (0.2), alpha of elu (1.0); none of the others has one.

    Raises:
        ArgumentError: an unknown name, or a parameter where there is none.
    """

    fields: ClassVar[tuple[str, ...]] = ("name", "parameter")

    def __init__(self, name: str, parameter: float | None = None) -> None:
        if name not in ACTIVATIONS and name not in ("softmax", "linear"):
            name = str(get(name).name)
        if parameter is not None and name not in DEFAULTS:
            raise ArgumentError(f"activation: {name} has no parameter, got {parameter!r}")
        self.name: str = name
        self.parameter = number(name, "parameter", DEFAULTS.get(name, 0.0) if parameter is None else parameter)

    def get_config(self) -> Config:
        """The arguments that make an equal object."""
        return {"name": self.name, "parameter": self.parameter if self.name in DEFAULTS else None}

    def __repr__(self) -> str:
        return f"Activation({self.name!r}{'' if self.plain else f', {self.parameter!r}'})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and other.get_config() == self.get_config()

    def __hash__(self) -> int:
        return hash((self.name, self.parameter))

    def __call__(self, x: object) -> Array:
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
        """max(x, 0), or negative_slope * x below 0; max_value and threshold are not supported."""
        refuse(
            "relu",
            {"max_value": max_value, "threshold": number("relu", "threshold", threshold)},
            {"max_value": None, "threshold": 0.0},
            ("x",),
        )
        slope = number("relu", "negative_slope", negative_slope)
        return eager.activate("leaky_relu", slope, x) if slope else eager.activate("relu", 0.0, x)


class _LeakyRelu(Activation):
    def __call__(self, x: object, negative_slope: float | None = None) -> Array:
        """x, or negative_slope (0.2) times x below 0."""
        slope = self.parameter if negative_slope is None else number("leaky_relu", "negative_slope", negative_slope)
        return eager.activate("leaky_relu", slope, x)


class _Elu(Activation):
    def __call__(self, x: object, alpha: float | None = None) -> Array:
        """x, or alpha (1) times e^x - 1 below 0."""
        return eager.activate("elu", self.parameter if alpha is None else number("elu", "alpha", alpha), x)


class _Gelu(Activation):
    def __call__(self, x: object, approximate: bool = False) -> Array:
        """x times the normal distribution function of x, or its approximation by tanh."""
        return eager.activate("gelu_tanh" if flag("gelu", "approximate", approximate) else "gelu", 0.0, x)


class _Softmax(Activation):
    def __call__(self, x: object, axis: int = -1) -> Array:
        """e^x over its sum along an axis."""
        return eager.activate("softmax", 0.0, x, axis)


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
softmax = _Softmax("softmax")

NAMES = {
    activation.name: activation
    for activation in (linear, sigmoid, tanh, relu, leaky_relu, elu, selu, softplus, silu, gelu, gelu_tanh, softmax)
} | {"identity": linear, "swish": silu}

UNSUPPORTED = names(
    "celu exponential glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid log_softmax mish "
    "relu6 soft_shrink softsign sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold"
)


def get(identifier: object) -> Activation:
    """The activation that a name, a config, an `Activation` or an activation layer stands for; None is linear.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function of your own, or anything else.
    """
    if identifier is None:
        return linear
    identifier = getattr(identifier, "as_activation", identifier)  # a layer such as LeakyReLU()
    if isinstance(identifier, dict) and identifier.get("class_name") == "Activation":
        return Activation.from_config(identifier["config"])
    return find("activation", identifier, Activation, NAMES, UNSUPPORTED)


def serialize(activation: Activation) -> Config | str:
    """The name, or a config where the name does not say everything."""
    return activation.name if activation.plain else {"class_name": "Activation", "config": activation.get_config()}


def deserialize(config: object) -> Activation:
    """The activation of what `serialize` gave; as `get`."""
    return get(config)


def __getattr__(name: str) -> NoReturn:
    raise absent(__name__, name, UNSUPPORTED, NAMES)


__all__ = [
    "Activation",
    "deserialize",
    "elu",
    "gelu",
    "gelu_tanh",
    "get",
    "identity",
    "leaky_relu",
    "linear",
    "relu",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "swish",
    "tanh",
]
