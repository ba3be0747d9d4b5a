"""Whatever is thrown at the public calls, they succeed or raise errors of fastnn's own, and warn as documented."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import callbacks, initializers, layers, losses, metrics, optimizers, regularizers, utils
from fastnn.errors import FastnnError
from frames import Frame, Series
from nets import net, wave
from support import examples, load

N = 9
LONGEST = 3  # epochs: more are right too, and only take time
DOCUMENTED = (
    "sample_weight is 0 in every row",
    "negative_slope",  # `alpha` of Keras 2
    "no .* in the results",  # what a callback watches
)


class Unknown:
    """An object that is nothing."""


class Stubborn:
    """An object that says no to everything."""

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise ValueError("no array")

    def __float__(self) -> float:
        raise TypeError("no number")

    def __len__(self) -> int:
        return -1


NAMES = (
    *(
        "adam",
        "SGD",
        "mse",
        "binary_crossentropy",
        "sparse_categorical_crossentropy",
        "kl_divergence",
        "accuracy",
        "acc",
    ),
    *("r2_score", "relu", "softmax", "l2", "zeros", "he_normal", "auto", "float32", "float64", ""),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from(
        [10**400, -(10**400), 2**63, 2**31, 1e308, -1e-320, float("nan"), float("inf"), -float("inf"), 1e39]
    ),
    st.floats(-2.0, 5.0),
    st.sampled_from([np.float32(0.5), np.int64(2), np.bool_(True), np.float64("nan"), np.array(0.25), np.array([1])]),
    st.sampled_from(NAMES),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.sampled_from([1j, ..., NotImplemented, int, Unknown, layers.Dense, np.tanh, len, lambda a, b=None: a]),
    st.builds(Unknown),
    st.builds(Stubborn),
    st.builds(lambda: layers.Dense(2)),
    st.builds(lambda: optimizers.SGD(0.1)),
    st.builds(lambda: optimizers.schedules.CosineDecay(0.1, 5)),
    st.builds(lambda: losses.Huber()),
    st.builds(lambda: metrics.R2Score()),
    st.builds(lambda: callbacks.Callback()),
    st.builds(lambda: regularizers.L1(0.1)),
)
DTYPES = ("bool", "int8", "int64", "uint64", "float16", "float32", "float64", "longdouble", ">f4")
STRANGE = ("complex64", "U3", "S2", "O", "M8[s]", "m8[s]")


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Arrays of any dtype, most of a shape that fits."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES * 3 + STRANGE)))
    shape = draw(st.sampled_from([(N, 4), (N, 3), (N,), (N, 1), (0, 4), (0,), (), (4,), (N, 2, 2), (1, 4), (3, 4)]))
    array = np.asarray(np.array(np.abs(wave(*shape)) * 3, int).astype(dtype))
    if dtype.kind == "f" and array.size and draw(st.booleans()):
        array.reshape(-1)[draw(st.integers(0, array.size - 1))] = draw(
            st.sampled_from([np.nan, np.inf, -1.0, 0.5, 7.0])
        )
    form = draw(st.sampled_from(["array", "array", "list", "series", "frame", "masked", "read-only"]))
    if form == "list":
        return array.tolist()
    if form == "series" and array.ndim == 1:
        return Series(array)
    if form == "frame" and array.ndim == 2:
        return Frame(**{f"c{i}": column for i, column in enumerate(array.T)})
    if form == "masked":
        return np.ma.masked_equal(array, array.reshape(-1)[0]) if array.size and dtype.kind in "if" else array
    array.setflags(write=form != "read-only")
    return array


HASHABLE = st.one_of(st.integers(-1, 4), st.text(max_size=3), st.none(), st.floats(0, 3), st.just(math.inf))
ANYTHING = st.one_of(
    SCALARS,
    arrays(),
    st.lists(SCALARS, max_size=3),
    st.tuples(SCALARS, SCALARS),
    st.dictionaries(HASHABLE, SCALARS, max_size=3),
    st.fixed_dictionaries({"class_name": SCALARS, "config": SCALARS}),
    st.sets(HASHABLE, max_size=2),
)


@st.composite
def scalar(draw: st.DrawFn) -> Any:
    """Anything that holds nothing else."""
    return draw(SCALARS)


@st.composite
def anything(draw: st.DrawFn) -> Any:
    """Anything at all; a function, because hypothesis writes out what a strategy is made of."""
    return draw(ANYTHING)


def mostly(*sensible: Any) -> st.SearchStrategy[Any]:
    """One of the sensible values twice as often as anything."""
    return st.one_of(st.sampled_from(sensible), st.sampled_from(sensible), anything())


def some(function: Any, arguments: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the arguments; now and then one that does not exist, where Python does not refuse it by itself."""
    known = st.fixed_dictionaries({}, optional=arguments)
    if all(parameter.kind != parameter.VAR_KEYWORD for parameter in inspect.signature(function).parameters.values()):
        return known
    unknown = st.sampled_from(["lr", "nb_epoch", "alpha", "colour", "workers", "class_mode"])
    more = st.dictionaries(unknown, anything(), max_size=1)
    return st.builds(lambda known, more: {**known, **more}, known, st.one_of(st.just({}), st.just({}), more))


@contextmanager
def sane() -> Iterator[None]:
    """What runs inside may raise errors of fastnn's own, and warn of what is documented; nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", fastnn.ModelAdvice)
        for message in DOCUMENTED:
            warnings.filterwarnings("ignore", f".*{message}", UserWarning)
        try:
            yield
        except FastnnError as error:
            assert str(error)


COMPILE = {
    "optimizer": mostly("adam", "SGD"),
    "loss": mostly("mse", "sparse_categorical_crossentropy", "kl_divergence"),
    "metrics": mostly("mae", ["acc"]),
    "weighted_metrics": mostly(["mae", "rmse"]),
    "backend": mostly("reference"),
    "run_eagerly": anything(),
    "steps_per_execution": anything(),
    "jit_compile": anything(),
    "loss_weights": mostly(None),
    "auto_scale_loss": mostly(True),
}


@settings(max_examples=examples(200))
@given(some(fastnn.Sequential.compile, COMPILE))
def test_compile(told: dict[str, Any]) -> None:
    model = net(layers.Dense(3, "softmax"))
    with sane():
        model.compile(**{"backend": load("reference"), **told})
        model.train_on_batch(wave(N, 4), np.arange(N) % 3)
    assert np.isfinite(model.predict(wave(2, 4), verbose=0)).all()


def short(value: Any) -> bool:
    """Whether it is no number of epochs that takes long."""
    return not isinstance(value, int | float | np.number) or not value > LONGEST


X, Y = st.just(wave(N, 4)), st.just(np.arange(N) % 3)
DATA = {"x": st.one_of(X, X, X, arrays(), anything()), "y": st.one_of(Y, Y, Y, arrays(), anything())}
WEIGHTS = st.one_of(arrays(), anything())
FIT = {
    **DATA,
    "batch_size": mostly(4),
    "epochs": mostly(2).filter(short),
    "initial_epoch": mostly(1),
    "verbose": mostly(0, 2),
    "callbacks": mostly([], None),
    "validation_split": mostly(0.2),
    "validation_data": st.one_of(
        st.tuples(X, Y), st.tuples(*DATA.values()), st.tuples(*DATA.values(), WEIGHTS), anything()
    ),
    "shuffle": mostly(False),
    "class_weight": st.one_of(st.dictionaries(st.integers(-1, 4), st.floats(0, 3)), anything()),
    "sample_weight": WEIGHTS,
    "steps_per_epoch": mostly(1),
    "validation_steps": mostly(1),
    "validation_batch_size": mostly(2),
    "validation_freq": mostly(1, [1]),
}
CALLS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "fit": FIT,
    "evaluate": {name: FIT[name] for name in ("x", "y", "batch_size", "verbose", "sample_weight", "callbacks")}
    | {"steps": mostly(1), "return_dict": st.booleans()},
    "predict": {name: FIT[name] for name in ("x", "batch_size", "verbose", "callbacks")} | {"steps": mostly(1)},
    "train_on_batch": {name: FIT[name] for name in ("x", "y", "sample_weight", "class_weight")},
    "predict_on_batch": {"x": FIT["x"]},
    "set_weights": {"weights": st.one_of(st.just([np.ones((4, 3)), np.ones(3)]), st.lists(WEIGHTS), anything())},
    "build": {"input_shape": mostly((None, 4))},
}
LOSSES = {
    "mse": ("mse", 3, None),
    "one": ("binary_crossentropy", 1, "sigmoid"),
    "sparse": ("sparse_categorical_crossentropy", 3, "softmax"),
    "categorical": ("categorical_crossentropy", 3, "softmax"),
}


@settings(max_examples=examples(600))
@given(st.data())
def test_calls(data: st.DataObject) -> None:
    loss, units, activation = LOSSES[data.draw(st.sampled_from(list(LOSSES)))]
    name = data.draw(st.sampled_from(["fit", *CALLS]))
    arguments = data.draw(some(getattr(fastnn.Sequential, name), CALLS[name]))
    needed = {
        "weights": [],
        "x": wave(N, 4),
        "y": np.eye(3)[np.arange(N) % 3] if loss[:2] in ("ms", "ca") else np.arange(N) % 2,
    }
    for argument in needed.keys() & CALLS[name].keys():
        arguments.setdefault(argument, needed[argument])
    model = net(layers.Dense(units, activation), loss=loss, optimizer="adam", metrics=["acc"])
    with sane():
        getattr(model, name)(**arguments)


MODULES = (layers, optimizers, optimizers.schedules, losses, metrics, regularizers, initializers, callbacks)
ABSTRACT = (
    *("Layer", "Loss", "Metric", "Optimizer", "Initializer", "Regularizer", "LearningRateSchedule"),
    *("CallbackList", "NonFiniteLossError"),
)
CLASSES = [
    getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if inspect.isclass(getattr(module, name)) and name not in ABSTRACT
]


def used(made: Any) -> None:
    """What one does with an object of each kind."""
    if isinstance(made, layers.Layer):
        if getattr(made, "units", 1) <= 64:
            net(made).predict(wave(2, 4), verbose=0)
    elif isinstance(made, optimizers.schedules.LearningRateSchedule):
        made(3)
    elif isinstance(made, initializers.Initializer):
        made((3, 2))
    elif isinstance(made, optimizers.Optimizer):
        net(optimizer=made).train_on_batch(wave(2, 4), wave(2))
    elif isinstance(made, losses.Loss | metrics.Metric):
        made(np.ones((3, 2)), np.full((3, 2), 0.5))


@settings(max_examples=examples(600))
@given(st.data())
def test_constructors(data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(CLASSES))
    named = {
        name: st.one_of(scalar(), scalar(), anything())
        for name, parameter in inspect.signature(made).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    arguments = data.draw(some(made, named))
    for name, parameter in inspect.signature(made).parameters.items():
        if parameter.default is parameter.empty and name in named:
            arguments.setdefault(name, 1)
    with sane():
        built = made(**arguments)
        if hasattr(built, "get_config"):
            type(built).from_config(built.get_config())
        used(built)


FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, st.SearchStrategy[Any]]]] = {
    "to_categorical": (utils.to_categorical, {"x": st.one_of(arrays(), anything()), "num_classes": mostly(3)}),
    "normalize": (utils.normalize, {"x": st.one_of(arrays(), anything()), "axis": mostly(-1), "order": mostly(2)}),
    "losses.get": (losses.get, {"identifier": anything()}),
    "metrics.get": (metrics.get, {"identifier": anything()}),
    "optimizers.get": (optimizers.get, {"identifier": anything()}),
    "Sequential": (fastnn.Sequential, {"layers": anything(), "trainable": mostly(True), "name": mostly("net")}),
    "Input": (fastnn.Input, {"shape": anything(), "dtype": mostly("float32"), "batch_shape": anything()}),
}


@settings(max_examples=examples(100))
@given(st.data())
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, data: st.DataObject) -> None:
    function, arguments = FUNCTIONS[name]
    chosen = data.draw(some(function, arguments))
    first = next(iter(arguments))
    if first not in chosen:
        chosen[first] = data.draw(arguments[first])
    with sane():
        function(**chosen)
