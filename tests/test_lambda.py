"""`Lambda`: functions of symbolic tensors as layers, in graphs and stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers, ops
from fastnn.errors import ArgumentError, FastnnError
from nets import wave

A, B = wave(12, 6), wave(12, 6, phase=1.0)


def distance(pair: Any, least: float) -> Any:
    a, b = pair
    return ops.sqrt(ops.maximum(ops.sum(ops.square(a - b), axis=1, keepdims=True), least))


def test_twins_and_their_distance(tmp_path: Path) -> None:
    """NumPy's numbers, a gradient of differences, and a file that needs no function to be loaded."""
    a, b = fastnn.Input((6,)), fastnn.Input((6,))
    twin = layers.Dense(3, "tanh", dtype="float64")
    between = layers.Lambda(distance, output_shape=(1,), arguments={"least": 1e-7}, name="between")([twin(a), twin(b)])
    assert between.shape == (None, 1)
    model = fastnn.Model([a, b], between)
    model.compile("sgd", "mse", backend="reference")
    W, c = model.get_weights()
    wanted = np.linalg.norm(np.tanh(A @ W + c) - np.tanh(B @ W + c), axis=1, keepdims=True)
    found = model.predict([A, B], verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert gradcheck.check(model, [A, B], wanted + 0.3)
    model.save(tmp_path / "twins")
    assert (fastnn.models.load_model(tmp_path / "twins").predict([A, B], verbose=0) == found).all()


def test_in_a_stack(tmp_path: Path) -> None:
    """It changes shapes and has no weights; no file holds its function."""
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Lambda(lambda x: 2 * x[:, 2:4]), layers.Dense(1)])
    model.compile("sgd", "mse", backend="reference")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(A, verbose=0), 2 * A[:, 2:4] @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert model.layers[0].output.shape == (None, 2)
    for use in (lambda: model.save(tmp_path / "stack"), lambda: fastnn.models.clone_model(model), model.get_config):
        with pytest.raises(
            ArgumentError, match=r'Lambda "lambda": no config or file holds a function; make the model by'
        ):
            use()


untyped: Any = layers.Lambda  # of scripts that no checker reads


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: untyped("tanh"), "Lambda: function is 'tanh', expected a function of a symbolic tensor"),
        (lambda: untyped(abs, arguments=[1]), r"Lambda: arguments is \[1\], expected a dict of names and values"),
        (lambda: untyped(abs, mask=abs), "Lambda: mask=.* is not supported"),
        (lambda: untyped(abs)(A), 'Lambda "lambda": a layer with `call` takes symbolic tensors'),
        (lambda: untyped(np.sqrt)(fastnn.Input((2,))), "NumPy cannot compute with it: use layers, fastnn.ops"),
        (lambda: untyped(lambda x: A)(fastnn.Input((2,))), "call returned ndarray, expected a symbolic tensor"),
    ],
)
def test_wrong(use: Any, message: str) -> None:
    with pytest.raises(FastnnError, match=message):
        use()
