"""What is wrong with X, y and weights is said before the first step, with the place and the cure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import FastnnError
from nets import Array, classifier, every_backend, net, wave

X = wave(20, 4)
Y = np.arange(20) % 3


def put(array: Array, place: Any, value: Any) -> Array:
    changed = array.astype(float)
    changed[place] = value
    return changed


class Series:
    """What a pandas series looks like from outside."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def to_numpy(self, dtype: Any = None, na_value: Any = None) -> Array:
        return (
            np.asarray([na_value if v is None else v for v in self.values], dtype) if dtype else np.asarray(self.values)
        )


class Frame:
    """What a pandas data frame looks like from outside."""

    def __init__(self, **columns: Any) -> None:
        self.data = columns
        self.columns = list(columns)

    def __getitem__(self, label: str) -> Series:
        return Series(self.data[label])

    def to_numpy(self) -> Array:
        kinds = {np.asarray(values).dtype for values in self.data.values()}
        return np.array([*zip(*self.data.values(), strict=True)], object if len(kinds) > 1 else None)


# where in X or y, and what the message says
WRONG_X: list[tuple[Any, str]] = [
    (X[:, :3], r'Dense 0 "dense": X has shape \(20, 3\), expected \(B, 4\); the model was built for 4 features'),
    (X[0], r"X has shape \(4,\), expected \(B, 4\); for one row give X\[None\]"),
    (X[:, 0], r"X has shape \(20,\), expected \(B, 4\)"),
    (X.reshape(20, 2, 2), r"reshape it: X.reshape\(-1, 4\)"),
    (X[:0], "X has no rows"),
    (np.float64(1), "give an array of rows"),
    (None, "X is None"),
    (X.astype(complex), "X has dtype complex128, expected real numbers"),
    (X.astype(str), "X has dtype <U.*convert the text to numbers"),
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
    before = model.get_weights()
    y = Y[: len(x)] if hasattr(x, "__len__") else Y
    calls: list[Any] = [lambda: model.fit(x, y, verbose=0), lambda: model.evaluate(x, y, verbose=0)]
    calls += [lambda: model.train_on_batch(x, y), lambda: model.test_on_batch(x, y)]
    if "is nan" not in message and "inf at" not in message:
        calls += [lambda: model.predict(x, verbose=0), lambda: model.predict_on_batch(x)]
    for call in calls:
        with pytest.raises(FastnnError, match=message) as caught:
            call()
        assert isinstance(caught.value, ValueError | TypeError)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


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
    model = net(layers.Dense(units, activation), loss=loss, backend=backend)
    before = model.get_weights()
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(FastnnError, match=message) as caught:
            call(X, y)
        assert isinstance(caught.value, ValueError | TypeError)
    good = {SPARSE: Y, CATEGORICAL: np.eye(3)[Y], "binary_crossentropy": Y > 0}.get(loss, np.ones((20, units)))
    with pytest.raises(FastnnError, match=r"^validation y"):
        model.fit(X, good, validation_data=(X, y), verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


WRONG_WEIGHTS: list[tuple[dict[str, Any], str]] = [
    ({"sample_weight": np.ones(19)}, r"sample_weight has shape \(19,\), expected \(20,\)"),
    ({"sample_weight": np.ones((20, 2))}, r"sample_weight has shape \(20, 2\)"),
    ({"sample_weight": put(np.ones(20), 3, np.nan)}, "sample_weight is nan at row 3"),
    ({"sample_weight": put(np.ones(20), 3, np.inf)}, "sample_weight is inf at row 3"),
    ({"sample_weight": ["a"] * 20}, "sample_weight has dtype <U1"),
    ({"class_weight": [1, 2, 3]}, "expected a dict"),
    ({"class_weight": {0: "heavy"}}, "expected class: weight"),
    ({"class_weight": {0: np.nan}}, "expected a finite weight"),
    ({"class_weight": {0: 1.0}, "sample_weight": np.ones(20)}, "cannot be used together"),
]


@every_backend
@pytest.mark.parametrize(("weights", "message"), WRONG_WEIGHTS)
def test_wrong_weights(weights: dict[str, Any], message: str, backend: str) -> None:
    model = classifier(backend)
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(FastnnError, match=message) as caught:
            call(X, Y, **weights)
        assert isinstance(caught.value, ValueError | TypeError)


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


def test_what_just_fits_float32() -> None:
    largest = float(np.finfo(np.float32).max)
    model = net(layers.Dense(1, kernel_initializer="zeros"))
    assert model.fit(np.full((20, 4), -largest), np.zeros(20), sample_weight=np.zeros(20) + 1e-39, verbose=0)
    wide = net(layers.Dense(1, dtype="float64"))
    assert wide.fit(X * 1e39, Y, sample_weight=np.full(20, 1e39), verbose=0)


def test_weights_of_zero_are_a_warning() -> None:
    with pytest.warns(UserWarning, match="sample_weight is 0 in every row"):
        classifier().fit(X, Y, sample_weight=np.zeros(20), verbose=0)


@every_backend
def test_what_is_right(backend: str) -> None:
    model = classifier(backend)
    expected = model.evaluate(X, Y, verbose=0)
    for y in (Y[:, None], Y.astype(np.uint8), Y.astype(float), Y.tolist(), Series(Y), Y.astype(">i4")):
        assert model.evaluate(X, y, verbose=0) == expected
    frame = Frame(a=X[:, 0], b=X[:, 1], c=X[:, 2], d=X[:, 3])
    for x in (X.tolist(), frame, X.astype(np.longdouble), X.astype(">f8"), np.ma.array(X)):
        assert model.evaluate(x, Y, verbose=0) == expected
    mixed = Frame(a=[1.5, 2], b=[True, False], c=[3, 4], d=[None, 1.0])
    assert np.isnan(model.predict(mixed, verbose=0)[0]).all()
    assert np.isfinite(model.predict(mixed, verbose=0)[1]).all()
    soft = net(layers.Dense(1, "sigmoid"), loss="binary_crossentropy", backend=backend)
    for y in (Y > 0, (Y > 0).astype(int), Y / 2):
        soft.fit(X, y, verbose=0)


@every_backend
def test_one_feature(backend: str) -> None:
    model = net(features=1, backend=backend)
    x = wave(20)
    assert model.predict(x, verbose=0).shape == (20, 1)
    assert model.fit(x, 2 * x, verbose=0).history["loss"]


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
