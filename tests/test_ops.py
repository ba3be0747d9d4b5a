"""`fastnn.ops`: of arrays, of symbolic tensors, and both alike."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ArgumentError, ArgumentTypeError, FastnnError
from fastnn.ops import elementwise, pairs, rows
from support import Array

X: Array = np.random.RandomState(1).standard_normal((40, 6)).astype(np.float32)
Y: Array = np.random.RandomState(2).standard_normal((40, 6)).astype(np.float32)
C: Array = (Y > 0).astype(np.float32)

UNARY = (
    *("abs", "arctan", "cos", "cosh", "erf", "erfinv", "exp", "expm1", "floor", "gelu", "log", "log1p", "log_softmax"),
    *("logical_not", "negative", "relu", "round", "rsqrt", "sigmoid", "sign", "silu", "sin", "sinh", "softmax"),
    *("softplus", "sqrt", "square", "tan", "tanh"),
)
BINARY = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "equal", "not_equal", "greater"),
    *("greater_equal", "less", "less_equal", "logical_and", "logical_or"),
)
NUMPY: dict[str, Any] = {"rsqrt": lambda x: 1 / np.sqrt(x)}


def both(function: Any, *arrays: Array) -> Array:
    """What a function makes of arrays, after a model of it made the same of them, to the bit."""
    tensors = [fastnn.Input(array.shape[1:]) for array in arrays]
    model = fastnn.Model(tensors, function(*tensors))
    made = model.predict(list(arrays), verbose=0)
    at_once: Array = function(*arrays)
    np.testing.assert_array_equal(made, at_once)
    return at_once


def test_examples() -> None:
    found = [doctest.testmod(module) for module in (elementwise, pairs, rows)]
    assert sum(one.attempted for one in found) == len(ops.__all__) and not any(one.failed for one in found)


@pytest.mark.parametrize("name", UNARY)
def test_of_one(name: str) -> None:
    x = np.abs(X) if name in ("log", "log1p", "sqrt", "rsqrt") else X
    got = both(getattr(ops, name), x)
    if wanted := NUMPY.get(name, getattr(np, name, None)):
        np.testing.assert_allclose(got, wanted(x.astype(float)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", BINARY)
def test_of_two(name: str) -> None:
    function = getattr(ops, name)
    a, b = (np.abs(X), Y) if name == "power" else (np.round(2 * X), np.round(2 * Y) + (name == "divide") * 0.25)
    got = both(function, a, b)
    np.testing.assert_allclose(got, getattr(np, name)(a.astype(float), b), rtol=2e-6)
    both(function, a, b[:, :1])
    both(lambda x: function(x, 0.5), a)
    if name in ("add", "subtract", "multiply", "divide", "maximum", "less", "power"):
        both(lambda x: function(2.0, x), a)


def test_others_of_both() -> None:
    np.testing.assert_array_equal(both(lambda x: ops.clip(x, -0.5, 0.5), X), np.clip(X, -0.5, 0.5))
    np.testing.assert_array_equal(both(ops.where, C, X, Y), np.where(C, X, Y))
    np.testing.assert_array_equal(both(lambda c, x: ops.where(c, x, 0.0), C, X), np.where(C, X, 0))
    np.testing.assert_allclose(both(lambda x: ops.mean(x, axis=-1), X), X.mean(axis=1), rtol=1e-5, atol=1e-7)
    assert both(lambda x: ops.sum(x, axis=1, keepdims=True), X).shape == (40, 1)
    np.testing.assert_array_equal(both(lambda x: ops.one_hot(x, 3), C[:, :1]), ops.one_hot(C[:, :1], 3))
    np.testing.assert_array_equal(both(lambda a, b: ops.concatenate([a, b], axis=-1), X, C), np.hstack([X, C]))
    np.testing.assert_array_equal(both(lambda x: x / 3, X), X / np.float32(3))
    np.testing.assert_array_equal(both(lambda x: abs(1 - x**2) / 2, X), np.abs(1 - X**2) / 2)
    np.testing.assert_array_equal(both(lambda x: ops.multiply(x > 0, 1.0) + (1 / (x - 9)), X), (X > 0) + 1 / (X - 9))


def test_what_where_leaves_out_may_be_nan() -> None:
    """The gradient, too: log of what is below 0 is NaN, and no weight becomes it."""
    x = fastnn.Input((6,))
    hidden = fastnn.layers.Dense(3)(x)
    model = fastnn.Model(x, ops.where(hidden > 0.1, ops.log(hidden), hidden))
    model.compile("sgd", "mse")
    model.fit(X, X[:, :3], epochs=2, verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


class TestArrays:
    def test_shapes_are_broadcast(self) -> None:
        np.testing.assert_array_equal(
            ops.add(np.ones((2, 1, 3)), np.arange(4.0)[:, None]), np.ones((2, 4, 3)) + np.arange(4.0)[:, None]
        )
        assert (
            ops.mean(X).shape == () and ops.sum(np.zeros((0, 3))) == 0.0 and ops.exp(np.zeros((0, 3))).shape == (0, 3)
        )
        np.testing.assert_allclose(ops.matmul(X, Y.T), X @ Y.T, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ops.matmul(X, Y[0]), X @ Y[0], rtol=1e-5, atol=1e-6)
        assert ops.shape(X) == (40, 6) and ops.shape(fastnn.Input((3,))) == (None, 3)

    def test_out(self) -> None:
        out = np.empty((40, 6), np.float32)
        assert ops.sin(X, out=out) is out and (out == ops.sin(X)).all()
        wide = np.zeros((40, 12), np.float32)
        ops.add(X, Y, out=wide[:, ::2])
        assert (wide[:, ::2] == ops.add(X, Y)).all() and not wide[:, 1::2].any()
        inside = X.copy()
        ops.multiply(inside[:-1], 2.0, out=inside[1:])
        assert (inside[1:] == 2 * X[:-1]).all()
        ops.softmax(X, out=out)
        assert (out == ops.softmax(X)).all()
        ops.mean(X, axis=-1, out=out[0, :1].repeat(40)[:40])
        assert (ops.matmul(X, X.T, out=np.empty((40, 40), np.float32)) == ops.matmul(X, X.T)).all()

    @pytest.mark.parametrize("backend", ["reference", "numba", "c"])
    def test_backends_have_the_same_bits(self, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = [ops.tan(1e3 * X), ops.power(np.abs(X), Y), ops.matmul(X, Y.T), ops.sum(X)]
        monkeypatch.setenv("FASTNN_BACKEND", backend)
        for got, right in zip(
            [ops.tan(1e3 * X), ops.power(np.abs(X), Y), ops.matmul(X, Y.T), ops.sum(X)], wanted, strict=True
        ):
            assert (got == right).all()


WRONG: list[tuple[Any, str]] = [
    (lambda: ops.add(X, X[:3]), r"the arrays have shapes \(40, 6\) and \(3, 6\), which do not fit"),
    (lambda: ops.matmul(X, X), r"ops.matmul: shapes \(40, 6\) and \(40, 6\), expected \(M, K\) and \(K, N\)"),
    (lambda: ops.sin("a"), "ops.sin: x has dtype <U1"),
    (lambda: ops.sin(X, out=np.empty((40, 6))), r"ops.sin: out is float64 \(40, 6\), expected an array of float32"),
    (
        lambda: ops.sin(X, out=[0.0]),  # type: ignore[arg-type]
        "ops.sin: out is list",
    ),
    (lambda: ops.sin(fastnn.Input((3,)), out=X), "ops.sin: out is for arrays"),
    (lambda: ops.sum(X, axis=0), "axis=0 is not supported, expected -1"),
    (lambda: ops.sum(fastnn.Input((3,))), "over all rows of a symbolic tensor it depends on the batch; give axis=-1"),
    (lambda: ops.concatenate([fastnn.Input((3,))] * 2), "axis=0 is not supported, expected -1: the last axis"),
    (lambda: ops.concatenate(3), "xs is int, expected a list"),  # type: ignore[arg-type]
    (lambda: ops.concatenate([fastnn.Input((3,)), X]), "xs has symbolic tensors and arrays"),
    (lambda: ops.matmul(fastnn.Input((3,)), X), "expected a symbolic tensor and a matrix that add_weight made"),
    (lambda: fastnn.Input((3,)) * 10**400, "too large for a float"),
    (lambda: fastnn.Input((3,))[:, 0.0:2.0], "the index .* is not supported; take columns"),
    (lambda: fastnn.Input((3,))[:, np.array([0, 1])], "the index .* is not supported; take columns"),
    (lambda: fastnn.Input((3,)) + X, "expected a symbolic tensor or a number beside"),
    (lambda: ops.one_hot(X, 0), "num_classes is 0"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong(call: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message) as caught:
        call()
    assert isinstance(caught.value, ArgumentError | ArgumentTypeError)


def test_arrays_at_the_edges() -> None:
    """Empty ones, numbers beside float64, conditions of another dtype; what does not fit has errors of fastnn's own."""
    for shape in ((0,), (0, 3), (3, 0)):
        np.testing.assert_array_equal(ops.sum(np.zeros(shape), axis=-1), np.zeros(shape).sum(-1))
    for left, right in (((3, 0), (0, 5)), ((0, 4), (4, 5)), ((3, 4), (4, 0)), ((0,), (0,)), ((4,), (4, 0))):
        np.testing.assert_array_equal(ops.matmul(np.ones(left), np.ones(right)), np.ones(left) @ np.ones(right))
    np.testing.assert_array_equal(ops.where([True, False], np.array([1.0, 2.0]), 0.1), [1.0, 0.1])
    assert ops.where(np.array([1e-300, 0.0]), X[0, :2], np.nan).dtype == np.float32
    assert ops.mean(5.0, axis=-1) == 5.0
    out = np.frombuffer(bytearray(9), np.float64, 1, 1)  # at an odd address
    assert ops.exp(np.zeros(1), out=out) is out and out[0] == 1.0
    calls: list[Any] = [
        lambda: ops.mean([[1.0], [1.0, 2.0]]),
        lambda: ops.sum(X, axis=np.array([0, 1])),  # type: ignore[arg-type]
        lambda: ops.concatenate([X, X[:, :2]], axis=0),
        lambda: ops.concatenate([X], axis=5),
        lambda: ops.concatenate([1.0, 2.0]),
        lambda: ops.where(True, fastnn.Input((3,)), np.zeros(3)),
    ]
    for call in calls:
        with pytest.raises(FastnnError, match=r"ops\."):
            call()
    x = fastnn.Input((6,))
    np.testing.assert_array_equal(
        fastnn.Model(x, (x == 0) + 2 * (x != 0)).predict(X, verbose=0), (X == 0) + 2.0 * (X != 0)
    )
    model = fastnn.Model(x, [ops.where(True, x, 0.5), ops.where(False, np.nan, x)])
    for made in model.predict(X, verbose=0):
        np.testing.assert_array_equal(made, X)
