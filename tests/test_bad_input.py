"""What is wrong is said before anything happens: by an error of fastnn's own, with the place and the cure.

Each refusal leaves the model (weights, optimizer, counters) and the data as they were, to the bit.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, utils
from fastnn.errors import FastnnError
from frames import Frame
from nets import Array, classifier, every_backend, net, wave

X = wave(20, 4)
Y = np.arange(20) % 3


@contextmanager
def refused(message: str, model: fastnn.Sequential, *data: Any) -> Iterator[None]:
    """Fails unless what runs inside is refused and changes neither the model nor the data."""
    before = pickle.dumps((model, data))
    with pytest.raises(FastnnError, match=message) as caught:
        yield
    assert isinstance(caught.value, ValueError | TypeError)
    assert pickle.dumps((model, data)) == before


def put(array: Array, place: Any, value: Any) -> Array:
    changed = array.astype(float)
    changed[place] = value
    return changed


# where in X or y, and what the message says
WRONG_X: list[tuple[Any, str]] = [
    (X[:, :3], r'Dense 0 "dense": X has shape \(20, 3\), expected \(B, 4\); the model was built for 4 features'),
    (X[0], r"X has shape \(4,\), expected \(B, 4\); for one row give X\[None\]"),
    (X[:, 0], r"X has shape \(20,\), expected \(B, 4\)"),
    (X.reshape(20, 2, 2), r"reshape it: X.reshape\(-1, 4\)"),
    (X[:0], "X has no rows"),
    (np.float64(1), "give an array of rows"),
    (None, "X is None|x is missing"),
    (X.astype(complex), "X has dtype complex128, expected real numbers"),
    (X.astype(str), "X has dtype <U.*convert the text to numbers; class numbers of texts are np.unique"),
    (X.astype(object), "X has dtype object"),
    (X.astype("M8[s]"), "convert the dates to numbers"),
    ([[1, 2, 3, 4], [1, 2]], "X does not make an array"),
    (put(X, (7, 2), np.nan), "X is nan at row 7, column 2; remove such rows or fill them in"),
    (put(X, (19, 3), np.inf), "X is inf at row 19, column 3"),
    (put(X, (0, 0), -np.inf).astype(np.float16), "X is -inf at row 0, column 0"),
    (np.asfortranarray(put(X, (7, 2), np.nan)), "X is nan at row 7, column 2"),
    (np.ma.masked_greater(X, 0), "masked elements"),
    (Frame(a=[1.0, 2], b=[1.0, 2], c=[1.0, 2], d=["x", "y"]), "X, column 'd' has dtype <U1, expected numbers"),
    (Frame(a=[1.0, 2], b=[1, 2], c=[1.0, 2], d=[{}, 1]), "X, column 'd' holds dict such as {}"),
    (Frame(a=[1.0, 2], b=[1.0, np.nan], c=[1.0, 2], d=[1.0, 2]), r"X is nan at row 1, column 1 \('b'\)"),
]


@every_backend
@pytest.mark.parametrize(("x", "message"), WRONG_X)
def test_wrong_X(x: Any, message: str, backend: str) -> None:
    model = classifier(backend)
    model.fit(X, Y, verbose=0)
    y = Y[: len(x)] if hasattr(x, "__len__") else Y
    calls: list[Any] = [lambda: model.fit(x, y, verbose=0), lambda: model.evaluate(x, y, verbose=0)]
    calls += [lambda: model.train_on_batch(x, y), lambda: model.test_on_batch(x, y)]
    if "is nan" not in message and "inf at" not in message:
        calls += [lambda: model.predict(x, verbose=0), lambda: model.predict_on_batch(x), lambda: model(x)]
    for call in calls:
        with refused(message, model, x, y):
            call()


SPARSE, CATEGORICAL = "sparse_categorical_crossentropy", "categorical_crossentropy"
WRONG_Y: list[tuple[str, int, Any, str]] = [
    (SPARSE, 3, None, "y is missing"),
    (SPARSE, 3, Y[:19], "y has 19 rows, X has 20 rows; expected as many"),
    (SPARSE, 3, 5, "y is one number"),
    (SPARSE, 3, Y + 1, "y is 3 at row 2, expected class numbers 0 to 2; the labels run from 1 to 3: subtract 1"),
    (SPARSE, 3, put(Y, 4, 7).astype(int), "y is 7 at row 4.*labels up to 7 need 8 units in the last layer"),
    (SPARSE, 3, put(Y, 4, -1).astype(int), "y is -1 at row 4.*number the classes from 0"),
    (SPARSE, 3, put(Y, 4, 0.5), "y is 0.5 at row 4, expected whole class numbers"),
    (SPARSE, 3, put(Y, 4, np.nan), "y is nan at row 4"),
    (SPARSE, 3, np.eye(3)[Y], r"y has shape \(20, 3\).*categorical_crossentropy.*argmax\(axis=1\)"),
    (SPARSE, 3, np.array(["a", "b"] * 10), "y has dtype <U1"),
    (CATEGORICAL, 3, Y, r"class numbers go with loss=.sparse_categorical_crossentropy.*to_categorical\(y, 3\)"),
    (CATEGORICAL, 3, Y[:, None], "class numbers go with"),
    (CATEGORICAL, 3, np.eye(4)[Y], "the last layer needs 4 units for such targets"),
    (
        "binary_crossentropy",
        1,
        np.where(Y > 0, 1, -1),
        r"y is -1 at row 0.*-1 and \+1 become 0 and 1 by \(y \+ 1\) / 2",
    ),
    ("binary_crossentropy", 1, np.where(Y > 0, 1, 2), "y is 2 at row 0.*the labels are 1 and 2: subtract 1"),
    ("binary_crossentropy", 1, Y * 5, "y is 5 at row 1, expected targets in"),
    ("mse", 1, wave(20, 3), r"y has shape \(20, 3\), expected \(n,\) or \(n, 1\).*needs 3 units"),
    ("mse", 3, wave(20), r"y has shape \(20,\), expected \(n, 3\).*needs 1 unit for"),
    ("mse", 4, wave(20, 2, 2), r"reshape it: y.reshape\(len\(y\), -1\)"),
    ("mse", 2, put(wave(20, 2), (3, 1), np.inf), "y is inf at row 3, column 1"),
    ("mse", 1, wave(20).astype(complex), "y has dtype complex128"),
]


@every_backend
@pytest.mark.parametrize(("loss", "units", "y", "message"), WRONG_Y)
def test_wrong_y(loss: str, units: int, y: Any, message: str, backend: str) -> None:
    activation = {"mse": None, "binary_crossentropy": "sigmoid"}.get(loss, "softmax")
    model = net(layers.Dense(units, activation), loss=loss, optimizer="adam", backend=backend)
    good = {SPARSE: Y, CATEGORICAL: np.eye(3)[Y], "binary_crossentropy": Y > 0}.get(loss, np.ones((20, units)))
    model.fit(X, good, verbose=0)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with refused(message, model, X, y):
            call(X, y)
    with refused("^validation y", model, X, y):
        model.fit(X, good, validation_data=(X, y), verbose=0)


WRONG_WEIGHTS: list[tuple[dict[str, Any], str]] = [
    ({"sample_weight": np.ones(19)}, r"sample_weight has shape \(19,\), expected \(20,\)"),
    ({"sample_weight": np.ones((20, 2))}, r"sample_weight has shape \(20, 2\)"),
    ({"sample_weight": put(np.ones(20), 3, np.nan)}, "sample_weight is nan at row 3"),
    ({"sample_weight": put(np.ones(20), 3, np.inf)}, "sample_weight is inf at row 3"),
    ({"sample_weight": ["a"] * 20}, "sample_weight has dtype <U1"),
    ({"class_weight": [1, 2, 3]}, "expected a dict"),
    ({"class_weight": {0: "heavy"}}, "expected class: weight"),
    ({"class_weight": {0: np.nan}}, "expected a finite weight"),
    ({"class_weight": {0: 10**400}}, "expected class: weight"),
    ({"class_weight": {np.inf: 1.0}}, "expected class: weight"),
    ({"class_weight": {1.5: 1.0}}, "class_weight has the class 1.5, expected whole class numbers"),
    ({"class_weight": {"1": 1.0}}, "class_weight has the class '1', expected whole class numbers"),
    ({"class_weight": {0: 1.0}, "sample_weight": np.ones(20)}, "cannot be used together"),
]


@every_backend
@pytest.mark.parametrize(("weights", "message"), WRONG_WEIGHTS)
def test_wrong_weights(weights: dict[str, Any], message: str, backend: str) -> None:
    model = classifier(backend)
    for call in (model.fit, model.train_on_batch):
        with refused(message, model, X, Y, weights):
            call(X, Y, **weights)


LARGE: list[tuple[str, dict[str, Any], str]] = [
    ("X", {}, "X is 1e[+]39 at row 7, column 2, which does not fit float32"),
    ("y", {}, "y is 1e[+]39 at row 7, which does not fit float32"),
    ("w", {}, "sample_weight is 1e[+]39 at row 7, which does not fit float32"),
    ("", {"class_weight": {1: 1e39}}, r"class_weight\[1\] is 1e[+]39, which does not fit float32"),
]


@every_backend
@pytest.mark.parametrize(("which", "more", "message"), LARGE)
@pytest.mark.parametrize("rows", [20, 3000])
def test_what_is_infinite_in_float32(which: str, more: dict[str, Any], message: str, rows: int, backend: str) -> None:
    x, y, w = np.zeros((rows, 4)), np.zeros(rows), np.ones(rows)
    {"X": x[:, 2], "y": y, "w": w}.get(which, np.zeros(rows))[7] = -1e39 if which == "y" else 1e39
    if not more:
        more = {"sample_weight": w}
    model = net(backend=backend)
    with pytest.raises(FastnnError, match=message.replace("is 1e", "is -1e") if which == "y" else message):
        model.fit(x, y, verbose=0, **more)
    if which in ("X", "y"):
        with pytest.raises(FastnnError, match="which does not fit float32"):
            model.evaluate(x, y, verbose=0)
        x[2, 1] = np.nan
        with pytest.raises(FastnnError, match="X is nan at row 2, column 1"):
            model.fit(x, y, verbose=0)


# what compile is told, on a model that is trained already
WRONG_COMPILE: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": "adm"}, 'optimizer: unknown name "adm"; did you mean "adam"'),
    ({"optimizer": "lamb"}, 'optimizer: "lamb" of Keras is not supported; known: adadelta, adagrad'),
    ({"optimizer": None}, "optimizer: expected a name or a fastnn optimizer object, got NoneType"),
    ({"optimizer": {"class_name": "SGD", "config": {"lr": 0.1}}}, 'SGD: unknown argument "lr"; .* learning_rate'),
    ({"loss": "mze"}, 'loss: unknown name "mze"; did you mean "mse"'),
    ({"loss": "dice"}, 'loss: "dice" of Keras is not supported'),
    ({"loss": np.square}, "loss: expected a name .* Python code cannot run inside compiled steps"),
    ({"loss": ["mse", "mae"]}, "loss: expected a name or a fastnn loss object, got list"),
    ({"metrics": ["acuracy"]}, 'metric: unknown name "acuracy"; did you mean "accuracy"'),
    ({"metrics": ["auc"]}, 'metric: "auc" of Keras is not supported'),
    ({"weighted_metrics": ["acuracy"]}, 'metric: unknown name "acuracy"'),
    ({"backend": "nmuba"}, 'backend: unknown name "nmuba"; did you mean "numba"'),
    ({"backend": 3}, "backend is 3, expected a name"),
    ({"lr": 0.1}, 'compile: unknown argument "lr"'),
    ({"metric": ["mae"]}, 'compile: unknown argument "metric"; it is called metrics'),
    ({"loss_weights": [1.0, 2.0]}, "compile: loss_weights is list .*expected a number"),
    ({"loss_weights": {"other": 1.0}}, r'compile: loss_weights names "other", the outputs are "dense_1"'),
]


@every_backend
@pytest.mark.parametrize(("told", "message"), WRONG_COMPILE)
def test_wrong_compile(told: dict[str, Any], message: str, backend: str) -> None:
    model = classifier(backend)
    model.fit(X, Y, verbose=0)
    with refused(message, model):
        model.compile(**{"optimizer": "sgd", "loss": SPARSE, "backend": model.engine().backend, **told})
    assert model.fit(X, Y, verbose=0)


# arguments of fit, evaluate and predict beside the data
WRONG_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("fit evaluate predict", {"batch_size": 0}, "batch_size is 0, expected a whole number of at least 1"),
    ("fit evaluate predict", {"batch_size": -1}, "batch_size is -1"),
    ("fit evaluate predict", {"batch_size": 2.5}, "batch_size is float 2.5, expected a whole number"),
    ("fit evaluate predict", {"batch_size": "all"}, "batch_size is str 'all'"),
    ("fit evaluate predict", {"batch_size": True}, "batch_size is True"),
    ("fit evaluate predict", {"verbose": 3}, "verbose is 3"),
    ("fit evaluate predict", {"verbose": "loud"}, "verbose is 'loud'"),
    ("fit evaluate predict", {"callbacks": [3]}, "3 is not a fastnn.callbacks.Callback"),
    ("fit evaluate predict", {"batchsize": 3}, 'unknown argument "batchsize"; did you mean "batch_size"'),
    ("evaluate predict", {"steps": 0}, "steps is 0"),
    ("fit", {"epochs": -1}, "epochs is -1, expected a whole number of at least 0"),
    ("fit", {"epochs": 1.5}, "epochs is float 1.5"),
    ("fit", {"initial_epoch": -1}, "initial_epoch is -1"),
    ("fit", {"nb_epoch": 3}, 'unknown argument "nb_epoch"; it is called epochs'),
    ("fit", {"shuffle": "batch"}, "shuffle is 'batch', expected True or False"),
    ("fit", {"validation_split": 1.0}, r"validation_split is 1.0, expected a number in \[0, 1\)"),
    ("fit", {"validation_split": -0.1}, "validation_split is -0.1"),
    ("fit", {"validation_split": 0.99}, "at least one of each"),
    ("fit", {"validation_data": X}, r"validation_data is not \(X, y\)"),
    ("fit", {"validation_data": (X, Y[:3])}, "validation y has 3 rows, validation X has 20 rows"),
    ("fit", {"validation_data": (X[:, :2], Y)}, r"validation X has shape \(20, 2\), expected \(B, 4\)"),
    ("fit", {"validation_data": (put(X, (7, 2), np.nan), Y)}, "validation X is nan at row 7, column 2"),
    ("fit", {"validation_split": 0.5, "validation_freq": 0}, "validation_freq is 0"),
    ("fit", {"validation_split": 0.5, "validation_steps": 0}, "validation_steps is 0"),
    ("fit", {"validation_split": 0.5, "validation_batch_size": 0}, "validation_batch_size is 0"),
    ("fit", {"steps_per_epoch": 3}, "steps_per_epoch=3 is not supported"),
]


@every_backend
@pytest.mark.parametrize(("calls", "arguments", "message"), WRONG_CALLS)
def test_wrong_arguments(calls: str, arguments: dict[str, Any], message: str, backend: str) -> None:
    model = classifier(backend)
    model.fit(X, Y, verbose=0)
    for name in calls.split():
        data = (X,) if name == "predict" else (X, Y)
        with refused(message, model, *data, arguments):
            getattr(model, name)(*data, **{"verbose": 0, **arguments})


# functions of arrays
WRONG_FUNCTIONS: list[tuple[Any, str]] = [
    (lambda: utils.to_categorical([0, 0.5]), "x has fractions or NaN, expected whole class numbers"),
    (lambda: utils.to_categorical([0, np.inf]), "x has fractions or NaN"),
    (lambda: utils.to_categorical([0, -1]), "x runs from -1 to 0, expected class numbers 0 to 0"),
    (lambda: utils.to_categorical([0, 3], 3), "x runs from 0 to 3, expected class numbers 0 to 2"),
    (lambda: utils.to_categorical([2**62] * 9), "number the classes from 0"),
    (lambda: utils.to_categorical(["a"]), "to_categorical: x has dtype <U1"),
    (lambda: utils.to_categorical([0], 0), "num_classes is 0"),
    (lambda: utils.to_categorical([0], "two"), "num_classes is str 'two'"),  # type: ignore[arg-type]
    (lambda: utils.normalize(X, axis=2), "normalize: axis is 2, x has 2"),
    (lambda: utils.normalize(X, axis=None), "normalize: axis is NoneType"),  # type: ignore[arg-type]
    (lambda: utils.normalize(X, order=0), "normalize: order is 0, expected a number > 0"),
    (lambda: utils.normalize(X * 1j), "normalize: x has dtype complex128"),
    (lambda: utils.set_random_seed(-1), "seed is -1"),
    (lambda: utils.set_random_seed(2**32), "expected a whole number below"),
    (lambda: fastnn.Input(batch_shape=3), "Input: batch_shape is 3, expected a tuple such as"),
    (lambda: layers.Dense(3, batch_input_shape=3), "Dense: batch_input_shape is 3, expected a tuple such as"),  # type: ignore[arg-type]
    (lambda: layers.Dropout(10**400), "rate is 1000"),
    (lambda: layers.BatchNormalization(axis=np.ones(3)), r"axis=array\(\[1., 1., 1.\]\) is not supported"),  # type: ignore[arg-type]
    (lambda: fastnn.Sequential(name=["a"]), r"Sequential: name is list \['a'\], expected a text"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "message"), WRONG_FUNCTIONS)
def test_wrong_functions(call: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        call()
    assert isinstance(caught.value, ValueError | TypeError)


@every_backend
@pytest.mark.parametrize("order", ["C", "F"])
def test_nan_in_a_large_X(order: Any, backend: str) -> None:
    x = np.zeros((3001, 40), np.float32, order)
    x[2999, 17] = np.nan
    x[3000, 1] = np.inf
    with pytest.raises(FastnnError, match="X is nan at row 2999, column 17"):
        net(features=40, backend=backend).fit(x, np.zeros(3001))


def test_place_in_rows_with_more_dimensions() -> None:
    model = fastnn.Sequential([fastnn.Input((2, 3)), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse", backend="reference")
    x = np.zeros((5, 2, 3))
    x[4, 1, 2] = np.nan
    with pytest.raises(FastnnError, match=r"X is nan at row 4, element \(1, 2\)"):
        model.fit(x, np.zeros(5))
    with pytest.raises(FastnnError, match=r"expected \(B, 2, 3\); for one row give X\[None\]"):
        model.predict(x[0])
