"""What logs and `evaluate` call the results of several outputs: names and order as of Keras 3.15.1, run beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses

X = np.linspace(-1.0, 1.0, 24).reshape(8, 3)
Y = np.stack([X[:, :1], 2 * X[:, :1]])
MSE, MAE, WEIGHTED = "mse", "mae", ["weighted_mae", "weighted_mae_1"]


class Heads(fastnn.Model):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.trunk, self.a, self.b = layers.Dense(4, "tanh"), layers.Dense(1), layers.Dense(1)

    def call(self, x: Any) -> Any:
        hidden = self.trunk(x)
        a, b = self.a(hidden), self.b(hidden)
        return {"zed": a, "abc": b} if self.kind == "dict" else [a, b]


def trained(model: fastnn.Model, y: Any, loss: Any, **arguments: Any) -> tuple[fastnn.Model, list[str], list[str]]:
    model.compile("sgd", loss, **arguments)
    history = model.fit(X, y, verbose=0).history
    logs = model.evaluate(X, y, verbose=0, return_dict=True)
    assert isinstance(logs, dict) and list(logs) == list(history)
    assert model.evaluate(X, y, verbose=0) == [logs[name] for name in model.metrics_names]
    return model, list(history), model.metrics_names


@pytest.mark.parametrize(
    ("loss", "arguments", "logged", "listed"),
    [
        ([MSE, MAE], {}, ["loss", "mae_loss", "mse_loss"], ["loss", "mse_loss", "mae_loss"]),
        (MSE, {}, ["loss", "mse_loss"], ["loss", "mse_loss", "mse_loss"]),
        (
            [losses.MeanSquaredError(name="own"), losses.Huber()],
            {"metrics": [[MAE], []]},
            ["huber_loss_loss", "loss", "mae", "own_loss"],
            ["loss", "mae", "own_loss", "huber_loss_loss"],
        ),
        (
            [losses.mean_squared_error, "MeanAbsoluteError"],
            {},
            ["loss", "mean_absolute_error_loss", "mean_squared_error_loss"],
            ["loss", "mean_squared_error_loss", "mean_absolute_error_loss"],
        ),
        (
            MSE,
            {"metrics": [[MAE, MSE], [MSE, MAE]], "weighted_metrics": [[MAE], [MAE]]},
            ["loss", "mae", "mae_1", "mse", "mse_1", "mse_loss", *WEIGHTED],
            ["loss", "mae", *([MSE] * 2), *([MAE] * 3), *(["mse_loss"] * 2), "mae_1", "mse_1", *WEIGHTED],
        ),
    ],
)
def test_outputs_that_a_subclass_lists(loss: Any, arguments: Any, logged: list[str], listed: list[str]) -> None:
    """They have no names: results are called by losses and metrics, counted over all outputs."""
    assert trained(Heads("list"), list(Y), loss, **arguments)[1:] == (logged, listed)


def test_losses_of_one_name() -> None:
    """The logs hold that of the last output, and the first still counts in the sum."""
    model = trained(Heads("list"), list(Y), MSE)[0]
    predicted = model.predict(X, verbose=0)
    parts = [float(((one - y) ** 2).mean()) for one, y in zip(predicted, Y, strict=True)]
    logs = model.evaluate(X, list(Y), verbose=0, return_dict=True)
    assert logs == pytest.approx({"loss": sum(parts), "mse_loss": parts[1]}, rel=1e-6)
    assert parts[0] != pytest.approx(parts[1])


def test_outputs_that_a_subclass_names() -> None:
    """Its keys are taken from any argument of `compile`, before the first data fix the outputs."""
    y = {"zed": Y[0], "abc": Y[1]}
    logged = ["abc_loss", "loss", "zed_loss", "zed_mae"]
    listed = ["loss", "abc_loss", "zed_loss", "zed_mae"]
    assert trained(Heads("dict"), y, MSE, metrics={"zed": [MAE]})[1:] == (logged, listed)
    listed = ["loss", "zed_loss", "abc_loss", "zed_mae"]
    assert trained(Heads("dict"), y, {"zed": MSE, "abc": MAE}, metrics={"zed": [MAE]})[1:] == (logged, listed)


def test_outputs_of_one_layer() -> None:
    """Both have its name: metrics are counted, and the logs hold the loss of the last."""
    x = fastnn.Input((3,))
    dense, other = layers.Dense(1), layers.Dense(1)
    model, logged, listed = trained(
        fastnn.Model(x, [dense(x), dense(2 * x), other(x)]), [*Y, Y[0]], MSE, metrics=[[MAE]] * 3
    )
    assert model.output_names == ["dense", "dense", "dense_1"]
    assert logged == ["dense_1_loss", "dense_1_mae", "dense_loss", "dense_mae", "dense_mae_1", "loss"]
    assert listed == ["loss", "dense_loss", "dense_loss", "dense_1_loss", "dense_1_mae", "dense_mae", "dense_mae_1"]


def test_outputs_of_arithmetic() -> None:
    """They are called as Keras calls the functions behind operators and slices."""
    x = fastnn.Input((3,))
    h, g = layers.Dense(1)(x), layers.Dense(1)(x)
    made = [h * g, h * 2.0, 1 - h, h - 1.0, h + 0.5, -h, h**2, x[:, :1], x[:, 1:2]]
    names = ["multiply", "multiply_1", "subtract", "subtract_1", "add", "negative", "power", "get_item", "get_item_1"]
    model, logged, _ = trained(fastnn.Model(x, made), [Y[0] ** 2] * len(made), MSE)
    assert model.output_names == names
    assert logged == sorted(["loss", *(f"{name}_loss" for name in names)])
    assert fastnn.models.model_from_json(model.to_json()).output_names == names


def test_outputs_in_a_dict() -> None:
    """Names are those of the layers, shapes a list, both in the order of the sorted keys; logs have the keys."""
    x = fastnn.Input((3,))
    model = fastnn.Model(x, {"zed": layers.Dense(1, name="p")(x), "abc": layers.Dense(1, name="q")(x)})
    assert model.output_names == ["q", "p"] and model.output_shape == [(None, 1), (None, 1)]
    y = {"zed": Y[0], "abc": Y[1]}
    assert trained(model, y, MSE)[1] == ["abc_loss", "loss", "zed_loss"]
    one = fastnn.Model(x, {"zed": layers.Dense(2, name="r")(x)})
    assert one.output_names == ["r"] and one.output_shape == (None, 2)
