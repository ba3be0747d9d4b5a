"""What is right comes through: data of many kinds, the largest numbers, and what is worth a warning only."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.engine.checks import TargetChecks
from fastnn.errors import ArgumentError, ArgumentTypeError
from frames import Frame, Series
from nets import classifier, every_backend, net, wave

X = wave(20, 4)
Y = np.arange(20) % 3


def test_what_just_fits_float32() -> None:
    largest = float(np.finfo(np.float32).max)
    model = net(layers.Dense(1, kernel_initializer="zeros"))
    assert model.fit(np.full((20, 4), -largest), np.zeros(20), sample_weight=np.zeros(20) + 1e-39, verbose=0)
    wide = net(layers.Dense(1, dtype="float64"))
    assert wide.fit(X * 1e39, Y, sample_weight=np.full(20, 1e39), verbose=0)


def test_targets_of_the_shape_of_an_output() -> None:
    """What they cost is a mean over all of it; where a metric looks at the last axis, they stay refused."""
    stack = [layers.Flatten(), layers.Dense(6), layers.Reshape((3, 2))]
    model = fastnn.Sequential([fastnn.Input((2, 2)), *stack])
    x, y = wave(20, 2, 2), wave(20, 3, 2, phase=0.7)
    for metrics in (["mae"], ["accuracy"]):
        model.compile("sgd", "mse", metrics=metrics)
        if metrics == ["accuracy"]:
            with pytest.raises(ArgumentError, match=r"y has shape \(20, 3, 2\), expected \(n, 6\)"):
                model.fit(x, y, verbose=0)
        else:
            assert model.evaluate(x, y, verbose=0) == model.evaluate(x, y.reshape(20, 6), verbose=0)


def test_classes_that_floats_cannot_tell_apart() -> None:
    loss = fastnn.losses.SparseCategoricalCrossentropy()
    for dtype in (np.float32, np.float64):
        TargetChecks("Dense", loss, 2**24, np.dtype(dtype))
    with pytest.raises(ArgumentError, match="float32 tells at most 16,777,216 classes apart"):
        TargetChecks("Dense", loss, 2**24 + 1, np.dtype(np.float32))


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
def test_columns_of_one_name(backend: str) -> None:
    """A frame of mixed dtypes has each column once, whatever it is called."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0, "c": np.arange(20), "d": X[:, 3]})
    model = classifier(backend)
    expected = model.evaluate(frame, Y, verbose=0)
    numbers = frame.astype(float)
    for names in (["a", "b", "a", "b"], ["a"] * 4, [("x", "a"), ("x", "b"), ("y", "a"), ("x", "a")]):
        frame.columns = numbers.columns = names
        assert model.evaluate(frame, Y, verbose=0) == expected == model.evaluate(numbers, Y, verbose=0)
    adapted: Any = layers.Normalization()
    adapted.adapt(frame)
    assert adapted.mean.shape == (1, 4)
    frame.insert(2, "b", "text", allow_duplicates=True)
    with pytest.raises(ArgumentTypeError, match=r"X, column 'b' (holds|has dtype) str.*expected numbers"):
        model.evaluate(frame, Y, verbose=0)


def test_buffers_are_arrays() -> None:
    model = classifier()
    expected = model.evaluate(X, Y, verbose=0)
    rows: Any = memoryview(np.asfortranarray(X))  # type: ignore[arg-type]
    assert (
        model.evaluate(rows, memoryview(Y.data), verbose=0)
        == expected
        == model.evaluate(rows, array("q", Y), verbose=0)
    )
    assert (model.predict(rows, verbose=0) == model.predict(X, verbose=0)).all()
    assert net(features=1).predict(array("d", [1.0, 2.0]), verbose=0).shape == (2, 1)


class Lazy:
    """As polars' LazyFrame."""

    columns = ("a",)

    def collect(self) -> None: ...

    def __getitem__(self, name: str) -> None: ...


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"a": X[:, 0], "b": X[:, 1]},
            r"X is a dict of 'a', 'b', expected an array; .*column_stack\(list\(X.val",
        ),
        (Lazy(), r"X is a Lazy, expected an array; call its collect\(\) first"),
        (len, "X is a builtin_function_or_method, expected real numbers"),
    ],
)
def test_what_makes_no_array(given: Any, message: str) -> None:
    model, unbuilt = classifier(), fastnn.Sequential([layers.Dense(3)])
    unbuilt.compile("sgd", "mse", backend="reference")
    for call in (model.fit, model.evaluate, unbuilt.fit, unbuilt.evaluate):
        with pytest.raises(ArgumentTypeError, match=message):
            call(given, Y, verbose=0)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ArgumentTypeError, match=message.replace("X", "y", 1).replace("(X", "(y")):
            call(X, given, verbose=0)
    with pytest.raises(ArgumentTypeError, match=message):
        model.predict(given, verbose=0)


@every_backend
def test_one_feature(backend: str) -> None:
    model = net(features=1, backend=backend)
    x = wave(20)
    assert model.predict(x, verbose=0).shape == (20, 1)
    assert model.fit(x, 2 * x, verbose=0).history["loss"]
