"""Optimizers by name; their steps are in `formulas.py`. A compiled model's optimizer is bound to its state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from .declaration import Declaration, find, names, number, refuse
from .errors import ArgumentError, ArgumentTypeError
from .lowering import OptimizerSpec
from .plan import Counter, Scalar

if TYPE_CHECKING:
    from .state import State

_KERAS = {
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class Optimizer(Declaration):
    """Base class: a learning rate, decoupled weight decay, and once compiled the state of one model.

    Args:
        learning_rate: the step size, at least 0.
        weight_decay: theta loses learning_rate * weight_decay of itself before each step; None or 0 for none.
        name: what it is called.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.
    """

    unsupported: ClassVar[dict[str, Any]] = {}
    common: ClassVar[tuple[str, ...]] = ("weight_decay", "name")
    _state: State | None = None

    def __init__(
        self, learning_rate: float, *, weight_decay: float | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        where = type(self).__name__
        defaults = _KERAS | self.unsupported
        refuse(where, kwargs, defaults, (*self.fields, *defaults))
        self._rate = _rate(where, learning_rate)
        self.weight_decay = None if weight_decay is None else number(where, "weight_decay", weight_decay, 0.0)
        self.name = name or where.lower()
        self._excluded: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        if self._state is not None and name in self.fields and name != "learning_rate":
            raise ArgumentError(
                f"{type(self).__name__}: {name} is fixed once a model is compiled; compile again to change it"
            )
        super().__setattr__(name, value)

    @property
    def learning_rate(self) -> float:
        """The step size; setting it takes effect from the next step on."""
        return self._rate if self._state is None else float(self._state.scalars[Scalar.LEARNING_RATE])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._rate = _rate(type(self).__name__, value)
        if self._state is not None:
            self._state.scalars[Scalar.LEARNING_RATE] = self._rate

    @property
    def iterations(self) -> int:
        """The steps taken."""
        return 0 if self._state is None else int(self._state.counters[Counter.STEP])

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Iterable[str] | None = None) -> None:
        """Leaves parameters out of the weight decay; call it before `compile`.

        Args:
            var_list: not supported.
            var_names: every parameter whose path, such as "dense/bias", contains one of these is left out.

        Raises:
            ArgumentError: after `compile`, or with var_list.
        """
        where = f"{type(self).__name__}.exclude_from_weight_decay"
        if var_list is not None:
            raise ArgumentError(f'{where}: var_list is not supported; give names such as var_names=["bias"]')
        if self._state is not None:
            raise ArgumentError(f"{where}: call it before compile")
        names = [var_names] if isinstance(var_names, str) else list(var_names or ())
        if not all(isinstance(name, str) for name in names):
            raise ArgumentTypeError(f"{where}: var_names is {var_names!r}, expected names of parameters")
        self._excluded = tuple(names)

    @property
    def excluded(self) -> tuple[str, ...]:
        """What `exclude_from_weight_decay` was given."""
        return self._excluded

    def decays(self, path: str) -> bool:
        """Whether weight decay applies to the parameter of this path."""
        return not any(name in path for name in self._excluded)

    def spec(self) -> OptimizerSpec:
        """What `Lowering.finish` takes."""
        name, constants = self._step()
        return OptimizerSpec(name, constants, self.weight_decay or 0.0, self._initial())

    def bind(self, state: State) -> None:
        """Makes `state` hold the learning rate and the steps from now on.

        Raises:
            ArgumentError: it drives another model already.
        """
        rate = self.learning_rate
        self._state = state
        state.scalars[Scalar.LEARNING_RATE] = rate

    def bound_to(self, state: State | None) -> bool:
        """Whether it is free, or drives the model of `state`."""
        return self._state is None or self._state is state

    def __getstate__(self) -> dict[str, Any]:
        """A copy drives no model until it is bound, and begins at this learning rate."""
        state = {name: value for name, value in vars(self).items() if name != "_state"}
        return state | {"_rate": self.learning_rate}

    def _step(self) -> tuple[str, tuple[float, ...]]:
        raise NotImplementedError

    def _initial(self) -> float:
        return 0.0


class SGD(Optimizer):
    """Gradient descent, plain, with momentum, or with Nesterov momentum.

    Math: theta -= lr g; or m = mu m - lr g, theta += m; or m = mu m - lr g, theta += mu m - lr g.

    Args:
        learning_rate: lr, at least 0.
        momentum: mu in [0, 1].
        nesterov: whether the last form.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.
    """

    fields = ("learning_rate", "momentum", "nesterov", "weight_decay", "name")

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = number("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = bool(nesterov)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        if self.momentum == 0.0:
            return "sgd", ()
        return "nesterov" if self.nesterov else "momentum", (self.momentum,)


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient.

    Math: v = rho v + (1 - rho) g^2; theta -= lr g / sqrt(v + epsilon).

    Args:
        learning_rate: lr, at least 0.
        rho: in [0, 1).
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: T. Tieleman, G. Hinton, Neural networks for machine learning, lecture 6.5, 2012.
    """

    fields = ("learning_rate", "rho", "epsilon", "weight_decay", "name")
    unsupported: ClassVar[dict[str, Any]] = {"centered": False}

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        refuse("RMSprop", {"momentum": momentum}, {"momentum": 0.0}, self.fields)
        super().__init__(learning_rate, **kwargs)
        self.rho = number("RMSprop", "rho", rho, 0.0, 1.0, "[)")
        self.epsilon = number("RMSprop", "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "rmsprop", (self.rho, self.epsilon)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    Math: v = v + g^2, from v = initial_accumulator_value; theta -= lr g / sqrt(v + epsilon).

    Args:
        learning_rate: lr, at least 0.
        initial_accumulator_value: at least 0.
        epsilon: at least 0.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: J. Duchi, E. Hazan, Y. Singer, JMLR 12, 2011.
    """

    fields = ("learning_rate", "initial_accumulator_value", "epsilon", "weight_decay", "name")

    def __init__(
        self,
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = number("Adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0)
        self.epsilon = number("Adagrad", "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adagrad", (self.epsilon,)

    def _initial(self) -> float:
        return self.initial_accumulator_value


class Adam(Optimizer):
    """Steps from running means of the gradient and of its square.

    Math: m += (1 - b1)(g - m); v += (1 - b2)(g^2 - v); theta -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).

    Args:
        learning_rate: lr, at least 0.
        beta_1, beta_2: in [0, 1).
        epsilon: at least 0; it comes before the correction of the means, unlike PyTorch's.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, end of section 2.
    """

    fields = ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay", "name")
    unsupported: ClassVar[dict[str, Any]] = {"amsgrad": False}

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        where = type(self).__name__
        self.beta_1 = number(where, "beta_1", beta_1, 0.0, 1.0, "[)")
        self.beta_2 = number(where, "beta_2", beta_2, 0.0, 1.0, "[)")
        self.epsilon = number(where, "epsilon", epsilon, 0.0)

    def _step(self) -> tuple[str, tuple[float, ...]]:
        return "adam", (self.beta_1, self.beta_2, self.epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay of 0.004, on biases too unless `exclude_from_weight_decay` names them.

    Math: theta -= lr weight_decay theta, then the step of Adam.

    Args:
        learning_rate: lr, at least 0.
        weight_decay: at least 0.
        beta_1, beta_2, epsilon: as Adam.

    Raises:
        ArgumentError: a hyper-parameter out of range, an unknown or an unsupported argument.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """

    fields = ("learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon", "name")

    def __init__(
        self,
        learning_rate: float = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay, **kwargs)


NAMES: dict[str, type[Optimizer]] = {
    name: optimizer
    for optimizer in (SGD, RMSprop, Adagrad, Adam, AdamW)
    for name in (optimizer.__name__, optimizer.__name__.lower())
}
UNSUPPORTED = names("adadelta adafactor adamax ftrl lion lossscaleoptimizer muon nadam schedulefreeadamw lars lamb")


def get(identifier: Any) -> Optimizer:
    """The optimizer that a name, a config, a class or an `Optimizer` stands for.

    Raises:
        ArgumentError: an unknown name. ArgumentTypeError: anything else.
    """
    result: Optimizer = find("optimizer", identifier, Optimizer, NAMES, UNSUPPORTED)
    return result


def _rate(where: str, value: Any) -> float:
    if callable(value):
        raise ArgumentError(f"{where}: learning_rate is {value!r}: schedules are not supported; give a number")
    return number(where, "learning_rate", value, 0.0)


__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "get"]
