"""What all declarations share: configs, look-up by name, and refusing the arguments of Keras that are not supported."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload

from ..errors import ArgumentError, ArgumentTypeError, NotBuiltError, nearest
from .absent import keras_names, refused

# What older scripts call an argument that is still there.
RENAMED = {
    "lr": "learning_rate",
    "nb_epoch": "epochs",
    "output_dim": "units",
    "init": "kernel_initializer",
    "bias": "use_bias",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "p": "rate",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "betas": "beta_1 and beta_2",
    "eps": "epsilon",
    "alpha": "negative_slope",
    "metric": "metrics",
    "epoch": "epochs",
    "batch": "batch_size",
}


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# Arguments of Keras that change neither what a model computes nor what it learns.
_WITHOUT_EFFECT = names(
    "add_progbar auto_scale_loss autocast batch_size dtype expand_nested include_optimizer layer_range line_length "
    "positions show_trainable synchronized zipped"
)
# What there is instead of others.
_CURES = {
    "activity_regularizer": "kernel_regularizer penalizes weights",
    "constraint": "weights have penalties (kernel_regularizer), no constraints",
    "gradient_accumulation_steps": "give fit a batch_size that is so many times larger",
    "seed": "the seed of the model decides, which utils.set_random_seed sets",
    "weights": "give embeddings_initializer=initializers.Constant(array), or call set_weights",
}

Config = dict[str, Any]  # what JSON can hold

# What Keras calls of subclasses by itself, while it builds a model, takes a step or asks for a value.
_KERAS_CALLS = {
    "Activation": names("__call__"),
    "EarlyStopping": names("get_monitor_value"),
    "Initializer": names("__call__"),
    "Layer": names("__call__ add_weight build call"),
    "LearningRateSchedule": names("__call__"),
    "Loss": names("__call__ call"),
    "Metric": names("__call__ reset_state result update_state"),
    "Network": names(
        "__call__ build call compute_loss compute_metrics make_predict_function make_test_function make_train_function "
        "predict_step test_step train_step"
    ),
    "Optimizer": names("apply apply_gradients build minimize update_step"),
    "Regularizer": names("__call__"),
}
_PACKAGE = __name__.partition(".")[0]


class Extensible:
    """What callers make subclasses of: an override that would never be called is refused at the first instance.

    `calls`: what of `_KERAS_CALLS` fastnn calls, too. `traced`: what it calls of direct subclasses of this class alone.
    `instead`: what there is instead of an override, by its name, or under "" of any other. `spare`: methods that fastnn
    does not call, so that anything may hide them; None of classes whose subclasses may hide any. `spare_beside_call`:
    more of them, where a subclass has a `call`. `extended`: public methods that a subclass may define anew.
    """

    calls: ClassVar[frozenset[str]] = frozenset()
    traced: ClassVar[frozenset[str]] = frozenset()
    instead: ClassVar[Mapping[str, str]] = {}
    spare: ClassVar[frozenset[str] | None] = None
    spare_beside_call: ClassVar[frozenset[str]] = frozenset()
    extended: ClassVar[frozenset[str]] = frozenset()
    _hooks: ClassVar[frozenset[str]] = frozenset()  # what Keras calls of such an object
    # Of a class of the caller's: methods that fastnn calls, and its own attributes.
    _taken: ClassVar[frozenset[str]] = frozenset()
    _kept: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._hooks = names("").union(*(_KERAS_CALLS.get(one.__name__, ()) for one in cls.__mro__ if _is_ours(one)))
        ours = _ours(cls)
        traced = vars(ours).get("traced", frozenset())
        for name in _defined(cls, cls._hooks):
            if name not in ours.calls | traced:
                cls.__new__ = _refusing(_never_called, name)  # type: ignore[method-assign]
                return
        if ours.spare is None or ours is cls:
            return
        spare = ours.spare | (ours.spare_beside_call if hasattr(cls, "call") else frozenset())
        cls._taken = (_methods(ours) | names("fields unsupported")) - spare
        cls._kept = frozenset(name for name in _set_by_init(ours) if name.startswith("_"))
        free = cls._hooks | ours.calls | traced | ours.extended
        for name in _defined(cls, (cls._taken | _constants(ours)) - free):
            cls.__new__ = _refusing(_hides, name)  # type: ignore[method-assign]
            return

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; a method that Keras would call, and fastnn looks for in classes alone, is refused, and so
        is what would hide a method of fastnn's."""
        if name in self._hooks and callable(value):
            raise _never_called(type(self), name)
        if name in self._taken or (name in self._kept and not _set_by_ours()):
            raise _hides(type(self), name)
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # or every attribute would be there for it

        def __getattr__(self, name: str) -> Any:
            """Raises for what is missing; where a class of the package sets it, its `__init__` was not called.

            Raises:
                NotBuiltError: `super().__init__()` was forgotten. AttributeError: there is none of this name.
            """
            if name in _set_by_init(_ours(type(self))):
                kind = type(self).__name__
                raise NotBuiltError(
                    f'{kind}.__init__ does not begin with super().__init__(), which sets "{name}"; call it first'
                )
            return object.__getattribute__(self, name)  # raises once more what a property raised


@functools.cache
def _set_by_init(cls: type) -> frozenset[str]:
    """The attributes that the constructors of a class of the package and of its bases set."""
    import dis

    inits = [vars(one)["__init__"] for one in cls.__mro__ if "__init__" in vars(one) and _is_ours(one)]
    code = [instruction for init in inits for instruction in dis.get_instructions(init)]
    return frozenset(instruction.argval for instruction in code if instruction.opname == "STORE_ATTR")


def _ours(cls: type) -> Any:
    """The nearest class of the package that it is made from."""
    return next(one for one in cls.__mro__ if _is_ours(one))


def _defined(cls: type[Extensible], wanted: Collection[str]) -> list[str]:
    """Which of some names a class of the caller's defines."""
    owners = {name: next((one for one in cls.__mro__ if name in vars(one)), object) for name in wanted}
    return sorted(name for name, owner in owners.items() if owner is not object and not _is_ours(owner))


@functools.cache
def _methods(cls: type) -> frozenset[str]:
    """What a class of the package has and its bases: functions, and properties that nobody can set."""
    found = _members(cls)
    fixed = (name for name, value in found.items() if isinstance(value, property) and value.fset is None)
    return frozenset(name for name, value in found.items() if inspect.isfunction(value)).union(fixed)


@functools.cache
def _constants(cls: type) -> frozenset[str]:
    """The names of what such classes have beside methods and properties."""
    public = {name: value for name, value in _members(cls).items() if not name.startswith("_")}
    return frozenset(name for name, value in public.items() if not callable(value) and not hasattr(value, "__get__"))


def _members(cls: type) -> dict[str, Any]:
    ours = [one for one in reversed(cls.__mro__) if _is_ours(one)]
    return {name: value for one in ours for name, value in vars(one).items() if not name.startswith("__")}


def _set_by_ours() -> bool:
    """Whether code of the package sets the attribute, perhaps through a `__setattr__` of the caller's."""
    frame: Any = sys._getframe(2)
    while frame.f_code.co_name == "__setattr__":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == _PACKAGE


def _refusing(error: Callable[[type[Extensible], str], ArgumentTypeError], name: str) -> Callable[..., Any]:
    def refusing(cls: type[Extensible], *args: object, **kwargs: object) -> Any:
        raise error(cls, name)

    return refusing


def _hides(cls: type[Extensible], name: str) -> ArgumentTypeError:
    base = _ours(cls).__name__
    return ArgumentTypeError(
        f'{cls.__name__}.{name}: "{name}" is a name that fastnn uses in every {base}; take another'
    )


def _never_called(cls: type[Extensible], name: str) -> ArgumentTypeError:
    instead = cls.instead.get(name, cls.instead.get("", "write it in a subclass"))
    return ArgumentTypeError(f"{cls.__name__}.{name} would never be called; {instead}")


class Declaration(Extensible):
    """Names and hyper-parameters without arrays; `fields` names the arguments of `__init__`, kept as attributes."""

    fields: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> Config:
        """The arguments that make an equal object."""
        return {name: getattr(self, name) for name in self.fields}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The object that `config` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


Declared = TypeVar("Declared", bound=Declaration)


@overload
def serialize(declaration: Declaration) -> Config: ...


@overload
def serialize(declaration: str | None) -> str | None: ...


def serialize(declaration: Declaration | str | None) -> Config | str | None:
    """A declaration as plain data: its class's name and its config; of a caller's class that computes as the one it is
    made from, that one's."""
    if declaration is None or isinstance(declaration, str):
        return declaration
    kind: type[Declaration] = _ours(type(declaration))
    if kind.__name__ in _KERAS_CALLS or _defined(type(declaration), declaration._hooks):
        kind = type(declaration)
    return {"class_name": kind.__name__, "config": kind.get_config(declaration)}


def find(
    kind: str,
    identifier: object,
    base: type[Declared],
    known: Mapping[str, Declared | type[Declared]],
    namespace: str = "",
) -> Declared:
    """The object that a name, a config, a class or an object stands for.

    Args:
        kind: what it is, for messages: "optimizer".
        identifier: a name of `known`, a dict with class_name and config, a subclass of `base`, or an instance.
        base: the class that every result has.
        known: the names there are, with the class or the object each stands for.
        namespace: where Keras has others, which are refused as such: "optimizers".

    Raises:
        ArgumentError: an unknown or unsupported name. ArgumentTypeError: none of these types.
        AbsentError: a placeholder.
    """
    if isinstance(identifier, base):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, base):
        return identifier()
    refused(identifier)
    config: Mapping[str, Any] = {}
    if isinstance(identifier, Mapping) and set(identifier) >= {"class_name", "config"}:
        config, identifier = identifier["config"], identifier["class_name"]
        if not isinstance(config, Mapping):
            raise ArgumentTypeError(f"{kind}: its config is {_describe(config)}, expected a dict")
    listed = ", ".join(sorted(name for name in known if name.islower()))
    if not isinstance(identifier, str):
        text = f"{kind}: expected a name or a fastnn {kind} object, got {_describe(identifier)}"
        if callable(identifier):
            text += "; Python code cannot run inside compiled steps"
        raise ArgumentTypeError(f"{text}; known names: {listed}")
    found = known.get(identifier, known.get(identifier.lower()))
    if found is None:
        if _bare(identifier) in map(_bare, keras_names().get(namespace, ())):
            raise ArgumentError(f'{kind}: "{identifier}" of Keras is not supported; known: {listed}')
        raise ArgumentError(f'{kind}: unknown name "{identifier}"{nearest(identifier, known)}')
    if not isinstance(found, type):
        return found
    return found.from_config(dict(config)) if config else found()


def _bare(name: str) -> str:
    """A name of a class or of a function alike."""
    return name.replace("_", "").lower()


def compiled(kind: str, found: object, classes: Collection[type]) -> None:
    """Raises for an object of a class that somebody else wrote, which compiled steps would not call.

    Raises:
        ArgumentTypeError: its class is not one of `classes`.
    """
    if type(found) not in classes:
        raise ArgumentTypeError(
            f"{kind}: {type(found).__name__} is a class of your own; Python code cannot run inside compiled steps; "
            f"known: {', '.join(known.__name__ for known in classes)}"
        )


def refuse(where: str, given: Mapping[str, object], defaults: Mapping[str, object], known: Collection[str]) -> None:
    """Raises for arguments that Keras has and fastnn lacks, unless they have their default, and for unknown ones."""
    for name, value in given.items():
        if name in defaults:
            default = defaults[name]
            if value is default or (type(value) is type(default) and value == default):
                continue
            text = f"{where}: {name}={value!r} is not supported"
            if name in _WITHOUT_EFFECT:
                raise ArgumentError(f"{text}; leave it out (its default is {default!r})")
            cure = _CURES.get("constraint" if name.endswith("constraint") else name, f"its default is {default!r}")
            raise ArgumentError(f"{text}, and without it the result is another; {cure}")
        if RENAMED.get(name, "").split(" ")[0] in known:
            raise ArgumentError(f'{where}: unknown argument "{name}"; it is called {RENAMED[name]}')
        raise ArgumentError(f'{where}: unknown argument "{name}"{nearest(name, known)}')


def number(
    where: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf, ends: str = "[]"
) -> float:
    """`value` as a finite float within the bounds; `ends` is "[]", "[)" or "(]" or "()"."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{where}: {name} is {_describe(value)}, expected a number") from None
    except OverflowError:  # an int beyond float64
        result = math.inf
    above = result >= low if ends[0] == "[" else result > low
    below = result <= high if ends[1] == "]" else result < high
    if not (above and below and math.isfinite(result)):
        raise ArgumentError(f"{where}: {name} is {value!r}, expected a number {_range(low, high, ends)}")
    return result


def whole(where: str, name: str, value: Any, low: int = 1) -> int:
    """`value` as an int of at least `low`."""
    try:
        result = value.__index__()
    except (AttributeError, TypeError):  # an array of several numbers has __index__ too
        if isinstance(value, float) and value.is_integer():
            result = int(value)
        else:
            raise ArgumentTypeError(f"{where}: {name} is {_describe(value)}, expected a whole number") from None
    if isinstance(value, bool) or result < low:
        raise ArgumentError(f"{where}: {name} is {value!r}, expected a whole number of at least {low}")
    return int(result)


def label(where: str, value: object, default: str) -> str:
    """`value` as a name, or the default where it is None or empty."""
    if value is not None and not isinstance(value, str):
        raise ArgumentTypeError(f"{where}: name is {_describe(value)}, expected a text")
    if value and not _is_text(value):
        raise ArgumentError(f"{where}: name is {value!r}, which holds half a character (a lone surrogate)")
    return value or default


def _is_text(value: str) -> bool:
    """Whether it can be written to a file."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def flag(where: str, name: str, value: object) -> bool:
    """`value` as a bool, from a bool, 0 or 1.

    Raises:
        ArgumentError: anything else.
    """
    if getattr(value, "shape", ()) != () or value not in (0, 1):
        raise ArgumentError(f"{where}: {name} is {value!r}, expected True or False")
    return bool(value)


def _range(low: float, high: float, ends: str) -> str:
    if low == -math.inf and high == math.inf:
        return "that is finite"
    if high == math.inf:
        return f"{'>=' if ends[0] == '[' else '>'} {low:g}"
    if low == -math.inf:
        return f"{'<=' if ends[1] == ']' else '<'} {high:g}"
    return f"in {ends[0]}{low:g}, {high:g}{ends[1]}"


def _describe(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
