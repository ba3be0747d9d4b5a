"""Lowering: what a plan's tables say of a stack of layers."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import compiling, layers, losses, optimizers, regularizers
from fastnn.formulas import LOSS_NAMES, METRIC_NAMES
from fastnn.lowering import LossSpec, Lowering, MetricSpec, OptimizerSpec
from fastnn.plan import I, Kind, Los, Met, Par, Plan, padded
from nets import net


def plan_of(*stack: layers.Layer, loss: object = None, metrics: object = None, features: int = 5) -> Plan:
    told = compiling.recipe("adam", loss, metrics, "reference") if loss else None
    for number, layer in enumerate(stack):
        layer.name = f"{layer.name}_{number}"
    return compiling.lower(stack, (features,), "float32", told)[0]


def test_layout() -> None:
    plan = plan_of(layers.Dense(7, "relu"), layers.Dense(3, use_bias=False))
    names = [f"{p.layer}/{p.name}" for p in plan.layout.parameters]
    assert names == ["dense_0/kernel", "dense_0/bias", "dense_1/kernel"]
    assert [p.shape for p in plan.layout.parameters] == [(5, 7), (7,), (7, 3)]
    assert [p.offset for p in plan.layout.parameters] == [0, 48, 64]
    assert plan.layout.size == 96
    theta = np.arange(plan.layout.size)
    assert plan.layout.view(theta, plan.layout.parameters[1]).tolist() == list(range(48, 55))


def test_a_plan_without_a_loss_only_predicts() -> None:
    plan = plan_of(layers.Dense(7, "relu"), layers.Dropout(0.5), layers.Dense(3))
    assert plan.instructions[:, I.KIND].tolist() == [Kind.DENSE, Kind.ACTIVATION, Kind.DROPOUT, Kind.DENSE]
    assert not plan.loss.size and not plan.sparse
    assert (plan.features, plan.outputs, plan.slots) == (5, 3, 0)
    assert plan.flops_per_row == 2 * (5 * 7 + 7 * 3)
    assert (plan.instructions[:, I.GRAD_DST] == -1).all()


def test_nothing_is_lowered_for_nothing() -> None:
    plan = plan_of(layers.Flatten(), layers.Dense(3, "linear"), layers.Dropout(0.0), layers.Activation("identity"))
    assert plan.instructions[:, I.KIND].tolist() == [Kind.DENSE]
    assert plan.instructions[0, I.LAYER] == 1  # layers keep their numbers, which key dropout


@pytest.mark.parametrize(
    ("activation", "loss", "name", "fused"),
    [
        ("softmax", "categorical_crossentropy", "softmax_crossentropy", True),
        ("softmax", "sparse_categorical_crossentropy", "sparse_softmax_crossentropy", True),
        ("sigmoid", "binary_crossentropy", "sigmoid_crossentropy", True),
        (None, losses.CategoricalCrossentropy(from_logits=True), "softmax_crossentropy", False),
        ("sigmoid", "categorical_crossentropy", "categorical_crossentropy", False),
        ("softmax", "mse", "mean_squared_error", False),
        ("softmax", "kl_divergence", "kl_divergence", False),
        (None, losses.Lp(p=3), "lp3", False),
        (None, losses.Lp(p=1.5), "lp", False),
    ],
)
def test_fusing(activation: str | None, loss: object, name: str, fused: bool) -> None:
    plan = plan_of(layers.Dense(3, activation), loss=loss)
    assert LOSS_NAMES[plan.loss[Los.CODE]] == name
    assert bool(plan.instructions[-1, I.FUSED]) == fused
    assert (plan.loss[Los.INPUT] != plan.loss[Los.PREDICTION]) == fused
    assert plan.loss[Los.TARGETS] == (1 if plan.sparse else 3)


def test_gradients_stop_at_the_first_weights() -> None:
    plan = plan_of(layers.Dropout(0.5), layers.Dense(4, "relu"), layers.Dense(3, "tanh"), loss="mse")
    kinds = plan.instructions[:, I.KIND].tolist()
    assert kinds == [Kind.DROPOUT, Kind.DENSE, Kind.ACTIVATION, Kind.DENSE, Kind.ACTIVATION]
    assert (plan.instructions[:, I.GRAD_DST] >= 0).tolist() == [False, True, True, True, True]
    assert (plan.instructions[:, I.GRAD_SRC] >= 0).tolist() == [False, False, True, True, True]
    assert (plan.instructions[:, I.TRANSPOSED] >= 0).tolist() == [False, False, False, True, False]


def test_metrics_have_their_slots() -> None:
    plan = plan_of(layers.Dense(3), loss="mse", metrics=["mae", "r2_score", "mse"])
    names = [METRIC_NAMES[code] for code in plan.metrics[:, Met.CODE]]
    assert names == ["mean_absolute_error", "r2_score", "mean_squared_error"]
    assert plan.metrics[:, Met.SLOT].tolist() == [2, 3, 13]
    assert plan.metrics[:, Met.SLOTS].tolist() == [1, 10, 1]
    assert plan.sums == 14


def test_penalties_and_decay() -> None:
    optimizer = optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = net(layers.Dense(3, kernel_regularizer=regularizers.L1L2(0.1, 0.2)), optimizer=optimizer, loss="mse")
    plan = model.engine().plan
    assert plan.parameters[:, Par.DECAY].tolist() == [1, 0]
    assert (plan.parameters[:, Par.PENALTY] >= 0).tolist() == [True, False]
    at = plan.parameters[0, Par.PENALTY]
    assert plan.constants[at : at + 2].tolist() == [0.1, 0.2]
    assert plan.parameters[:, Par.IS_BIAS].tolist() == [0, 1]


def test_tables_are_read_only() -> None:
    builder = Lowering("float64", 4)
    builder.dense("a", 2, True)
    plan = builder.finish(LossSpec("mean_squared_error"), (MetricSpec("mean_absolute_error"),), OptimizerSpec("sgd"))
    for table in (plan.instructions, plan.parameters, plan.metrics, plan.loss, plan.optimizer, plan.constants):
        assert not table.flags.writeable


def test_padding() -> None:
    assert [padded(width) for width in (1, 16, 17)] == [16, 16, 32]
