"""Activations by name; what they compute is in `formulas.py` and each backend's `softmax.py`."""

from __future__ import annotations

from typing import Any, ClassVar

from .declaration import Declaration, find, names, number
from .errors import ArgumentError
from .formulas import ACTIVATIONS

# The parameters that the bare names stand for.
DEFAULTS = {"leaky_relu": 0.2, "elu": 1.0}


class Activation(Declaration):
    """A name of `formulas.ACTIVATIONS`, "softmax" or "linear", with its parameter: a slope, an alpha.

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

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal object."""
        return {"name": self.name, "parameter": self.parameter if self.name in DEFAULTS else None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Activation) and other.get_config() == self.get_config()

    def __hash__(self) -> int:
        return hash((self.name, self.parameter))

    @property
    def plain(self) -> bool:
        """Whether the bare name says everything."""
        return self.parameter == DEFAULTS.get(self.name, 0.0)


linear = identity = Activation("linear")
sigmoid = Activation("sigmoid")
tanh = Activation("tanh")
relu = Activation("relu")
leaky_relu = Activation("leaky_relu")
elu = Activation("elu")
selu = Activation("selu")
softplus = Activation("softplus")
silu = swish = Activation("silu")
gelu = Activation("gelu")
gelu_tanh = Activation("gelu_tanh")
softmax = Activation("softmax")

NAMES = {
    activation.name: activation
    for activation in (linear, sigmoid, tanh, relu, leaky_relu, elu, selu, softplus, silu, gelu, gelu_tanh, softmax)
} | {"identity": linear, "swish": silu}

UNSUPPORTED = names(
    "celu exponential glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid log_softmax mish "
    "relu6 soft_shrink softsign sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold"
)


def get(identifier: Any) -> Activation:
    """The activation that a name, a config or an `Activation` stands for; None is linear.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: a function or anything else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, dict) and identifier.get("class_name") == "Activation":
        return Activation.from_config(identifier["config"])
    result: Activation = find("activation", identifier, Activation, NAMES, UNSUPPORTED)
    return result


def serialize(activation: Activation) -> Any:
    """The name, or a config where the name does not say everything."""
    return activation.name if activation.plain else {"class_name": "Activation", "config": activation.get_config()}


__all__ = [
    "Activation",
    "elu",
    "gelu",
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
