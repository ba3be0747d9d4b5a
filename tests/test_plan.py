"""Lowering: what a plan's tables say of a stack of layers."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, optimizers, regularizers
from fastnn.core.instructions import INSTRUCTIONS, Slot
from fastnn.core.losses import LOSS_NAMES, METRIC_NAMES
from fastnn.core.lowering import Lowering
from fastnn.core.plan import (
    BatchVector,
    Clip,
    Column,
    Kind,
    LossEntry,
    MetricEntry,
    OptimizerEntry,
    ParameterEntry,
    Plan,
    Role,
    padded,
)
from fastnn.core.specs import LossSpec, MetricSpec, OptimizerSpec, ParameterSpec
from fastnn.core.state import State
from fastnn.core.store import ALIGNMENT
from fastnn.engine import compiling
from nets import net


def plan_of(*stack: layers.Layer, loss: object = None, metrics: object = None, features: int = 5) -> Plan:
    told = compiling.recipe("adam", loss, metrics, "reference") if loss else None
    for number, layer in enumerate(stack):
        layer.name = f"{layer.name}_{number}"
    model = fastnn.Sequential([fastnn.Input((features,)), *stack])
    return compiling.lower(model.flat_graph(), "float32", told)[0]


def test_layout() -> None:
    plan = plan_of(layers.Dense(7, "relu"), layers.Dense(3, use_bias=False))
    names = [f"{p.layer}/{p.name}" for p in plan.layout.parameters]
    assert names == ["dense_0/kernel", "dense_0/bias", "dense_1/kernel"]
    assert [p.shape for p in plan.layout.parameters] == [(5, 7), (7,), (7, 3)]
    assert [p.offset for p in plan.layout.parameters] == [0, 48, 64]
    assert plan.layout.size == 96
    assert plan.layout.statistics_size == 0 and not plan.layout.hidden
    theta = np.arange(plan.layout.size)
    assert plan.layout.view(theta, plan.layout.parameters[1]).tolist() == list(range(48, 55))


def test_a_plan_without_a_loss_only_predicts() -> None:
    plan = plan_of(layers.Dense(7, "relu"), layers.Dropout(0.5), layers.Dense(3))
    assert plan.instructions[:, Column.KIND].tolist() == [Kind.DENSE, Kind.ACTIVATION, Kind.DROPOUT, Kind.DENSE]
    assert not plan.losses.size and not plan.sparse
    assert (plan.features[0], plan.widths[0], plan.slots) == (5, 3, 0)
    assert plan.flops_per_row == 2 * (5 * 7 + 7 * 3)
    assert (plan.instructions[:, Column.GRAD_DST] == -1).all()


def test_the_calls_of_an_instruction_have_room() -> None:
    slots = sorted(Slot)
    room = {slot: after - slot for slot, after in itertools.pairwise(slots)}
    for row in INSTRUCTIONS.values():
        assert len(row.forward_columns) <= room[Slot.FORWARD_COLUMNS]
        assert len(row.inference_columns) <= room[Slot.INFERENCE_COLUMNS]
        assert len(row.backward_columns) <= room[Slot.BACKWARD_COLUMNS]


def test_nothing_is_lowered_for_nothing() -> None:
    plan = plan_of(layers.Flatten(), layers.Dense(3, "linear"), layers.Dropout(0.0), layers.Activation("identity"))
    assert plan.instructions[:, Column.KIND].tolist() == [Kind.DENSE]
    assert plan.instructions[0, Column.LAYER] == 1  # layers keep their numbers, which key dropout


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
    assert LOSS_NAMES[plan.losses[0][LossEntry.CODE]] == name
    assert bool(plan.instructions[-1, Column.FUSED]) == fused
    assert (plan.losses[0][LossEntry.INPUT] != plan.losses[0][LossEntry.PREDICTION]) == fused
    assert plan.losses[0][LossEntry.TARGETS] == (1 if plan.sparse[0] else 3)


def test_gradients_stop_at_the_first_weights() -> None:
    plan = plan_of(layers.Dropout(0.5), layers.Dense(4, "relu"), layers.Dense(3, "tanh"), loss="mse")
    kinds = plan.instructions[:, Column.KIND].tolist()
    assert kinds == [Kind.DROPOUT, Kind.DENSE, Kind.ACTIVATION, Kind.DENSE, Kind.ACTIVATION]
    assert (plan.instructions[:, Column.GRAD_DST] >= 0).tolist() == [False, True, True, True, True]
    assert (plan.instructions[:, Column.GRAD_SRC] >= 0).tolist() == [False, False, True, True, True]


def test_metrics_have_their_slots() -> None:
    plan = plan_of(layers.Dense(3), loss="mse", metrics=["mae", "r2_score", "mse"])
    names = [METRIC_NAMES[code] for code in plan.metrics[:, MetricEntry.CODE]]
    assert names == ["mean_absolute_error", "r2_score", "mean_squared_error"]
    assert plan.metrics[:, MetricEntry.SLOT].tolist() == [2, 3, 13]
    assert plan.metrics[:, MetricEntry.SLOTS].tolist() == [1, 10, 1]
    assert plan.sums == 14


def test_penalties_and_decay() -> None:
    optimizer = optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model = net(layers.Dense(3, kernel_regularizer=regularizers.L1L2(0.1, 0.2)), optimizer=optimizer, loss="mse")
    plan = model.engine().plan
    assert plan.parameters[:, ParameterEntry.DECAY].tolist() == [1, 0]
    assert (plan.parameters[:, ParameterEntry.PENALTY] >= 0).tolist() == [True, False]
    at = plan.parameters[0, ParameterEntry.PENALTY]
    assert plan.constants[at : at + 2].tolist() == [0.1, 0.2]
    assert plan.parameters[:, ParameterEntry.ROLE].tolist() == [0, 1]


def norms(trainable: bool = True) -> Plan:
    builder, spec = Lowering("float32", 5), ParameterSpec(trainable=trainable)
    builder.affine(0.5, -1.0)
    builder.standardize("scaled", 1e-7)
    builder.dense("dense", 7, bias=None)
    builder.batch_norm("batch", 0.75, 1e-3, None, spec, trainable)
    builder.activation("relu")
    builder.layer_norm("layer", 1e-5, spec, None)
    builder.dense("last", 2)
    return builder.finish(LossSpec("mean_squared_error"), (), OptimizerSpec("momentum", (0.9,)))


def test_normalizations_have_their_parameters() -> None:
    plan = norms()
    names = [f"{p.layer}/{p.name}" for p in plan.layout.parameters]
    assert names == [
        "scaled/mean", "scaled/variance", "dense/kernel", "batch/beta", "batch/moving_mean", "batch/moving_variance",
        "layer/gamma", "last/kernel", "last/bias",
    ]  # fmt: skip
    theta = [p.name for p in plan.layout.of("theta")]
    assert theta == ["kernel", "beta", "gamma", "kernel", "bias"]
    assert [p.shape for p in plan.layout.of("statistics")] == [(5,), (5,), (7,), (7,)]
    assert not any(p.trainable for p in plan.layout.of("statistics"))
    assert plan.layout.statistics_size == 4 * 16
    assert plan.parameters[:, ParameterEntry.ROLE].tolist() == [
        Role.KERNEL,
        Role.BIAS,
        Role.SCALE,
        Role.KERNEL,
        Role.BIAS,
    ]
    assert plan.parameters[:, ParameterEntry.INSTRUCTION].tolist() == [2, 3, 5, 6, 6]


def test_normalizations_have_their_columns() -> None:
    plan = norms()
    kinds = [Kind.AFFINE, Kind.STANDARDIZE, Kind.DENSE, Kind.BATCH_NORM, Kind.ACTIVATION, Kind.LAYER_NORM, Kind.DENSE]
    assert plan.instructions[:, Column.KIND].tolist() == kinds
    affine, standardize, _, batch, _, layer, _ = plan.instructions
    constants = [plan.constants[row[Column.CONSTANT] :].tolist() for row in (affine, standardize, batch, layer)]
    assert [found[:count] for found, count in zip(constants, (2, 1, 2, 1), strict=True)] == [
        [0.5, -1.0], [1e-7], [1e-3, 0.25], [1e-5],
    ]  # fmt: skip
    assert (standardize[Column.CODE], batch[Column.CODE]) == (1, 0)
    assert plan.instructions[:, Column.MEAN].tolist() == [-1, 0, -1, 32, -1, -1, -1]
    assert plan.instructions[:, Column.VARIANCE].tolist() == [-1, 16, -1, 48, -1, -1, -1]
    assert (plan.instructions[:, Column.STATISTICS] >= 0).tolist() == [False, True, False, True, False, False, False]
    assert (plan.instructions[:, Column.INVERSE] >= 0).tolist() == [False] * 5 + [True, False]
    assert (batch[Column.SAVED] != batch[Column.DST]) and (layer[Column.SAVED] != layer[Column.DST])
    # The statistics of one batch and those of another lie apart.
    assert plan.fixed_elements == BatchVector.WIDTH * (padded(5) + padded(7))


def test_missing_gamma_and_beta_are_hidden_constants() -> None:
    plan = norms()
    _, standardize, _, batch, _, layer, _ = plan.instructions
    assert [constant[1:] for constant in plan.layout.hidden] == [
        ("gamma", standardize[Column.KERNEL], 5, 1.0),
        ("beta", standardize[Column.BIAS], 5, 0.0),
        ("gamma", batch[Column.KERNEL], 7, 1.0),
        ("beta", layer[Column.BIAS], 7, 0.0),
    ]
    state = State(plan)
    for _, _, offset, size, value in plan.layout.hidden:
        assert (state.theta[offset : offset + size] == value).all()
        assert not any(offset <= p.offset < offset + size for p in plan.layout.of("theta"))
    assert state.theta.sum() == 5 + 7  # nothing else is written


def test_an_activation_lies_over_a_normalization() -> None:
    plan = norms()
    activation = plan.instructions[4]
    assert activation[Column.SRC] == activation[Column.DST] == plan.instructions[3, Column.DST]


def test_gradients_of_normalizations() -> None:
    """Those that dgamma and dbeta read are kept: the input's gradient has a buffer of its own."""
    plan = norms()
    assert (plan.instructions[:, Column.GRAD_DST] >= 0).tolist() == [False, False, True, True, True, True, True]
    assert plan.instructions[2, Column.GRAD_SRC] == -1
    for number in (3, 5, 6):
        row = plan.instructions[number]
        assert row[Column.GRAD_SRC] != row[Column.GRAD_DST]
        assert row[Column.GRAD_SRC] == plan.instructions[number - 1, Column.GRAD_DST]
    builder = Lowering("float32", 5)
    builder.batch_norm("batch", 0.9, 1e-3)
    builder.affine(2.0, 1.0)
    plan = builder.finish(LossSpec("mean_squared_error"), (), OptimizerSpec("sgd"))
    assert plan.instructions[0, Column.GRAD_SRC] == -1
    assert (
        plan.instructions[0, Column.GRAD_DST]
        == plan.instructions[1, Column.GRAD_SRC]
        == plan.instructions[1, Column.GRAD_DST]
    )


def test_what_is_not_trainable_is_standardized() -> None:
    """The layout is the same, so that weights carry over."""
    plan, frozen = norms(), norms(trainable=False)
    assert frozen.instructions[3, Column.KIND] == Kind.STANDARDIZE
    assert frozen.instructions[3, Column.CODE] == 0
    assert frozen.instructions[5, Column.KIND] == Kind.LAYER_NORM
    assert [p._replace(trainable=True) for p in frozen.layout.of("theta")] == list(plan.layout.of("theta"))
    assert frozen.layout.of("statistics") == plan.layout.of("statistics")
    assert frozen.layout.hidden == plan.layout.hidden
    assert frozen.parameters[:, ParameterEntry.TRAINABLE].tolist() == [1, 0, 0, 1, 1]


def test_views_of_a_state() -> None:
    plan = norms()
    state = State(plan)
    for number, parameter in enumerate(plan.layout.parameters):
        state.view(parameter)[...] = number + 10
    for number, parameter in enumerate(plan.layout.parameters):
        assert (state.view(parameter) == number + 10).all()
        assert state.view(parameter).base is not None
    assert state.statistics.max() == 15 and state.theta.max() == 18
    assert state.slots[0].size == state.theta.size
    copied = copy.deepcopy(state)
    state.statistics[:] = 0
    assert copied.statistics.max() == 15
    assert copied.statistics.ctypes.data % ALIGNMENT == 0


def test_weighted_metrics_have_a_slot_more() -> None:
    builder = Lowering("float32", 3)
    builder.dense("dense", 2)
    specs = tuple(
        MetricSpec(name, weighted=weighted)
        for weighted in (True, False)
        for name in ("mean_absolute_error", "r2_score")
    )
    plan = builder.finish(LossSpec("mean_squared_error"), specs, OptimizerSpec("sgd"))
    assert plan.metrics[:, MetricEntry.WEIGHTED].tolist() == [1, 1, 0, 0]
    assert plan.metrics[:, MetricEntry.SLOTS].tolist() == [2, 7, 1, 7]
    assert plan.metrics[:, MetricEntry.SLOT].tolist() == [2, 4, 11, 12]
    assert plan.sums == 19


@pytest.mark.parametrize(
    ("name", "clip"), [("", Clip.NONE), ("value", Clip.VALUE), ("norm", Clip.NORM), ("global_norm", Clip.GLOBAL_NORM)]
)
def test_clips(name: str, clip: Clip) -> None:
    builder = Lowering("float32", 3)
    builder.dense("dense", 2)
    spec = OptimizerSpec("momentum", (0.9,), weight_decay=0.1, clip=name, limit=2.5)
    plan = builder.finish(LossSpec("mean_squared_error"), (), spec)
    assert plan.optimizer[OptimizerEntry.CLIP] == clip
    at = plan.optimizer[OptimizerEntry.CLIP_CONSTANT]
    assert plan.constants[at] == 2.5 if name else at == -1


def test_tables_are_read_only() -> None:
    builder = Lowering("float64", 4)
    builder.dense("a", 2)
    plan = builder.finish(LossSpec("mean_squared_error"), (MetricSpec("mean_absolute_error"),), OptimizerSpec("sgd"))
    for table in (plan.instructions, plan.parameters, plan.metrics, plan.losses, plan.optimizer, plan.constants):
        assert not table.flags.writeable


def test_padding() -> None:
    assert [padded(width) for width in (1, 16, 17, 496, 497, 1024)] == [16, 16, 32, 496, 528, 1040]
