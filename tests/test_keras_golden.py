"""Trainings, predictions and scores against Keras 3.15.1: golden/keras.json, written by scripts/make_keras_golden.py.

Both sides compute the same formulas in another order of operations, so they differ by rounding. Across the file Keras
in float32 and Keras in float64 differ by at most 0.8 of (1e-6 + 1e-5 |value|), most of it where Adam divides small
gradients by their own size; that is the allowance for float32. In float64 the rounding that is left is that of the
file, 13 digits, and the allowance is a few of its last digits.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn.backends.protocol import Backend
from support import CLASSES, DTYPES, load

GOLDEN = json.loads((Path(__file__).parent / "golden" / "keras.json").read_text())
RELATIVE, ABSOLUTE = {"float32": 1e-5, "float64": 1e-11}, {"float32": 1e-6, "float64": 1e-12}


def array(name: str, dtype: str) -> Any:
    value = np.array(GOLDEN["arrays"][name])
    return value.astype(dtype) if value.dtype.kind == "f" else value


def made(module: Any, spec: Any) -> Any:
    if isinstance(spec, str):
        return spec
    config = dict(spec[1])
    if isinstance(config.get("learning_rate"), list):
        config["learning_rate"] = made(module.schedules, config["learning_rate"])
    return getattr(module, spec[0])(**config)


def layer(spec: list[Any]) -> Any:
    kind, config = spec
    config = {k: made(fastnn.regularizers, v) if k.endswith("regularizer") else v for k, v in config.items()}
    return getattr(fastnn.layers, kind)(**config)


def learned(model: fastnn.Sequential) -> list[fastnn.layers.Layer]:
    """The layers but Normalization, which in Keras has no weights, or one more."""
    return [layer for layer in model.layers if not isinstance(layer, fastnn.layers.Normalization)]


def trained(case: dict[str, Any], dtype: str, backend: Backend) -> tuple[Any, dict[str, list[float]]]:
    X, y = array(case["X"], dtype), array(case["y"], dtype)
    model = fastnn.Sequential([fastnn.Input(X.shape[1:]), *map(layer, case["layers"])])
    if "adapt" in case:
        first: Any = model.layers[0]
        first.adapt(array(case["adapt"], dtype))
    start = iter(case["start"])
    for at in learned(model):
        at.set_weights([np.array(next(start), dtype) for _ in at.weights])
    with warnings.catch_warnings():
        # One case trains cross-entropy on sigmoid outputs on purpose.
        warnings.simplefilter("ignore", fastnn.ModelAdvice)
        model.compile(
            optimizer=made(fastnn.optimizers, case["optimizer"]),
            loss=made(fastnn.losses, case["loss"]),
            metrics=case["metrics"],
            weighted_metrics=[made(fastnn.metrics, metric) for metric in case["weighted_metrics"]],
            backend=backend,
        )
    fit = dict(case.get("fit", {}))
    if "sample_weight" in fit:
        fit["sample_weight"] = array(fit["sample_weight"], dtype)
    if "class_weight" in fit:
        fit["class_weight"] = {int(k): v for k, v in fit["class_weight"].items()}
    history = model.fit(X, y, batch_size=GOLDEN["batch_size"], epochs=GOLDEN["epochs"], shuffle=False, verbose=0, **fit)
    return model, history.history


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", range(len(GOLDEN["cases"])), ids=lambda number: GOLDEN["cases"][number]["name"])
def test_same_as_keras(number: int, dtype: str) -> None:
    """On each backend in turn: that they have the same bits is for other tests."""
    case, backend = GOLDEN["cases"][number], list(CLASSES)[number % len(CLASSES)]
    before = fastnn.config.floatx()
    fastnn.config.set_floatx(dtype)
    try:
        model, history = trained(case, dtype, load(backend))
    finally:
        fastnn.config.set_floatx(before)
    golden = case[dtype]
    X, y = array(case["X"], dtype), array(case["y"], dtype)

    def compare(where: str, got: Any, keras: Any) -> None:
        np.testing.assert_allclose(
            np.array(got), np.array(keras), rtol=RELATIVE[dtype], atol=ABSOLUTE[dtype], err_msg=where
        )

    assert list(history) == list(golden["history"])
    for key, values in golden["history"].items():
        compare(key, history[key], values)
    weights = [weight for layer in learned(model) for weight in layer.weights]
    for i, (mine, keras) in enumerate(zip(weights, golden["weights"], strict=True)):
        assert mine.dtype == dtype
        compare(f"weights {i}", mine, keras)
    for moment, keras in zip(("mean", "variance"), golden["moments"], strict=False):
        compare(moment, getattr(model.layers[0], moment).ravel(), np.broadcast_to(keras, X.shape[1]))
    scores = model.evaluate(X, y, batch_size=GOLDEN["batch_size"], verbose=0, return_dict=True)
    assert list(scores) == list(golden["evaluate"])
    for key, value in golden["evaluate"].items():
        compare(key, scores[key], value)
    compare("predict", model.predict(X, verbose=0), golden["predict"])
