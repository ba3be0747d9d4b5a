"""Programs: ten steps of any plan have the same bits fused and unfused, on every backend, with 1 and 2 threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastnn.backends.data import Data
from fastnn.backends.protocol import Program
from fastnn.core.formulas import ACTIVATIONS
from fastnn.core.plan import SUM_LOSS
from fastnn.core.specs import LossSpec, MetricSpec, OptimizerSpec
from plans import ADAM, ENDS, MODELS, MSE, SGD, Model
from support import (
    DTYPES,
    RUNNERS,
    TWINS,
    Array,
    Runner,
    assert_same_bits,
    examples,
    load,
    present,
    runner_name,
    threads,
)
from traces import assert_same, predictions, trace

ALL = MODELS | ENDS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_every_backend_trains_to_the_bits_of_the_reference(name: str, dtype: str) -> None:
    """Fused, and operation by operation; everything is finite, and the steps changed the weights."""
    expected = trace(load("reference"), ALL[name], dtype)
    if ALL[name].ends != "special":
        for key, value in expected.items():
            assert np.isfinite(value).all(), key
        assert (expected["predictions"] != expected["predictions before"]).any()
    for runner in present(TWINS):
        where = f"{runner_name(runner)} {name} {dtype}"
        with threads(runner):
            assert_same(trace(load(runner[0]), ALL[name], dtype), expected, where)
            if runner[1] == 1 + DTYPES.index(dtype):
                assert_same(trace(load(runner[0]), ALL[name], dtype, fused=False), expected, f"{where} unfused")


_OPTIONS = st.fixed_dictionaries({name: st.booleans() for name in ("scale", "center", "trainable")})
NORMS = st.one_of(
    st.tuples(st.sampled_from(["batch_norm", "layer_norm"]), _OPTIONS),
    st.just(("standardize",)),
    st.just(("affine", 0.5, -0.3)),
)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Any small model."""
    layers: list[tuple[Any, ...]] = draw(st.lists(NORMS, max_size=1))
    penalties = st.sampled_from([(0.0, 0.0), (0.01, 0.0), (0.0, 0.02)])
    for _ in range(draw(st.integers(1, 3))):
        options = {
            "use_bias": draw(st.booleans()),
            "kernel_penalty": draw(penalties),
            "trainable": draw(st.sampled_from([True, True, False])),
        }
        layers.append(("dense", draw(st.integers(1, 40)), options))
        layers += draw(st.lists(NORMS, max_size=1))
        if draw(st.booleans()):
            layers.append(("activation", draw(st.sampled_from([*ACTIVATIONS, "softmax"]))))
        if draw(st.booleans()):
            layers.append(("dropout", draw(st.sampled_from([0.1, 0.5]))))
    sparse = draw(st.booleans())
    loss = LossSpec("sparse_categorical_crossentropy", from_logits=True) if sparse else MSE
    metric = MetricSpec("sparse_categorical_accuracy" if sparse else "r2_score", weighted=draw(st.booleans()))
    optimizer = draw(st.sampled_from([SGD, ADAM, OptimizerSpec("nesterov", (0.8,), weight_decay=0.01)]))
    clip = draw(st.sampled_from(["", "", "value", "norm", "global_norm"]))
    return Model(
        "any",
        tuple(layers),
        loss,
        draw(st.sampled_from([(), (metric,)])),
        optimizer._replace(clip=clip, limit=0.1),
        features=draw(st.integers(1, 40)),
        rows=draw(st.integers(1, 40)),
        batch=draw(st.integers(1, 40)),
        weighted=draw(st.booleans()),
        ordered=draw(st.booleans()),
        scheduled=draw(st.booleans()),
        shared=draw(st.booleans()),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=examples(36), suppress_health_check=[HealthCheck.too_slow])
@given(model=models())
def test_any_model(model: Model, dtype: str) -> None:
    expected = trace(load("reference"), model, dtype)
    for runner in present(TWINS):
        with threads(runner):
            assert_same(trace(load(runner[0]), model, dtype), expected, f"{runner_name(runner)} {model} fused")
            if runner[1] == 1:
                got = trace(load(runner[0]), model, dtype, fused=False)
                assert_same(got, expected, f"{runner_name(runner)} {model} unfused")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("runner", [r for r in RUNNERS if r[1] == 1], indirect=True, ids=runner_name)
def test_gradient_is_the_slope(name: str, runner: Runner) -> None:
    """The gradient along some directions and single weights, by central differences in float64."""
    model = MODELS[name]
    plan = model.plan("float64")
    state = model.state(plan)
    program = load(runner[0]).program(plan, state)
    data = model.data(plan)
    start = state.theta.copy()
    mean_loss(program, data)
    gradient = state.gradient.copy()
    trainable = [parameter for parameter in plan.layout.parameters if parameter.trainable]
    random = np.random.RandomState(1)
    width = 1e-5
    # Of the reference, which is slow, one direction and a weight: its gradient has the bits of the others.
    for number in (0, 3) if runner[0] == "reference" else range(8):
        direction = np.zeros_like(start)
        for parameter in trainable:
            view = plan.layout.view(direction, parameter)
            view[...] = random.standard_normal(view.shape) * (number < 3)
        if number >= 3:
            parameter = trainable[number % len(trainable)]
            plan.layout.view(direction, parameter).flat[random.randint(parameter.size)] = 1.0
        direction /= np.linalg.norm(direction)
        sides = []
        for side in (width, -width):
            state.theta[:] = start + side * direction
            sides.append(mean_loss(program, data))
        slope = (sides[0] - sides[1]) / (2 * width)
        assert abs(slope - gradient @ direction) <= 1e-7 * max(1.0, np.abs(gradient).max()), f"direction {number}"
    for parameter in plan.layout.of("theta"):
        assert parameter.trainable or not plan.layout.view(gradient, parameter).any()
    for constant in plan.layout.hidden:
        assert not gradient[constant.offset : constant.offset + constant.size].any()
        assert (start[constant.offset : constant.offset + constant.size] == constant.value).all()


def mean_loss(program: Program, data: Data) -> float:
    """The mean loss of the first batch as training sees it, dropout and penalties included."""
    sums = np.zeros(program.plan.sums)
    program.gradient(data, sums)
    total = float(sums[SUM_LOSS])
    return total / min(data.batch_size, len(data.X[0]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
class TestPrograms:
    """What programs promise beside their results."""

    @pytest.mark.parametrize(
        "name",
        ["classes, all at once", "batch_norm last", "value adam", "norm adam", "global_norm adam", "global_norm"],
    )
    def test_gradient_and_update_are_a_step(self, name: str, runner: Runner, dtype: str) -> None:
        model = MODELS[name]
        plan = model.plan(dtype)
        states = [model.state(plan) for _ in range(2)]
        programs = [load(runner[0]).program(plan, state) for state in states]
        data, sums = replace(model.data(plan), batch_size=model.rows), np.zeros((2, plan.sums))
        for _ in range(3):
            programs[0].run_steps(data, 0, 1, sums[0])
            programs[1].gradient(data, sums[1])
            programs[1].update()
        assert_same_bits(states[0].theta, states[1].theta, "theta")
        assert_same_bits(states[0].statistics, states[1].statistics, "statistics")
        assert_same_bits(sums[0], sums[1], "sums")

    @pytest.mark.parametrize("name", ["wide", "batch_norm wide", "layer_norm wide", "standardize"])
    def test_a_row_does_not_depend_on_the_others(self, name: str, runner: Runner, dtype: str) -> None:
        model = MODELS[name]
        plan = model.plan(dtype)
        program = load(runner[0]).program(plan, model.state(plan))
        data = model.data(plan)
        together = predictions(program, plan, data)
        for rows in (slice(0, 1), slice(7, 8), slice(3, 20), slice(0, 0)):
            alone = predictions(program, plan, replace(data, X=(data.X[0][rows],)))
            assert_same_bits(alone, together[rows], f"rows {rows}")

    @pytest.mark.parametrize("name", ["wide", "batch_norm wide"])
    def test_predictions_in_blocks_of_x_as_it_lies(self, name: str, runner: Runner, dtype: str) -> None:
        model = MODELS[name] if runner[0] != "reference" else MODELS[name]._replace(features=9)
        plan = model.plan(dtype)
        program = load(runner[0]).program(plan, model.state(plan))
        data = model.data(plan)
        one = predictions(program, plan, data)
        copies = -(-(2 * plan.forward_rows + 40) // len(one))
        X = np.tile(data.X[0], (copies, 1)).astype(dtype)
        gaps = np.zeros((2 * len(X), plan.features[0] + 3), dtype)
        gaps[::2, :-3] = X
        for there in (X, np.asfortranarray(X), gaps[::2, :-3], X[::-1].copy()[::-1], X.astype(np.float64)):
            assert_same_bits(predictions(program, plan, replace(data, X=(there,))), np.tile(one, (copies, 1)), "blocks")

    def test_programs_share_a_state(self, runner: Runner, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """One makes the workspace grow, even at its address; the other, whose buffers are too small then, goes on."""
        model = MODELS["wide"]
        plan = model.plan(dtype)
        state, backend, data = model.state(plan), load(runner[0]), model.data(plan)
        wanted = predictions(backend.program(plan, model.state(plan)), plan, data)
        programs = [backend.program(plan, state) for _ in range(2)]
        room = np.zeros(plan.fixed_elements + 1000 * plan.row_elements, dtype)
        room = room[-room.ctypes.data % 64 // room.itemsize :]
        monkeypatch.setattr("fastnn.core.state.aligned", lambda size, dtype: room[:size])
        for number, rows in enumerate((1, 39, 39)):
            program, sums = programs[number % 2], np.zeros(plan.sums)
            assert_same_bits(
                predictions(program, plan, replace(data, X=(data.X[0][:rows],))), wanted[:rows], f"{rows} rows"
            )
            program.score(replace(data, batch_size=rows), 0, 1, sums)
            assert np.isfinite(sums).all()

    def test_no_rows(self, runner: Runner, dtype: str) -> None:
        model = MODELS["wide"]
        plan = model.plan(dtype)
        program = load(runner[0]).program(plan, model.state(plan))
        data = model.data(plan)
        assert predictions(program, plan, replace(data, X=(data.X[0][:0],))).shape == (0, plan.widths[0])

    def test_training_does_not_touch_its_data(self, runner: Runner, dtype: str) -> None:
        model = MODELS["classes, all at once"]
        plan = model.plan(dtype)
        data = model.data(plan, np.arange(model.rows)[::-1].copy())
        kept = [array for array in (*data.X, *data.y, *data.w, data.order) if array is not None]
        before = [array.copy() for array in kept]
        load(runner[0]).program(plan, model.state(plan)).run_steps(data, 0, data.steps, np.zeros(plan.sums))
        for array, old in zip(kept, before, strict=True):
            np.testing.assert_array_equal(array, old)


SOURCES = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
)  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", [("reference", 1), *(r for r in TWINS if r[1] == 2)], indirect=True, ids=runner_name)
@pytest.mark.parametrize("source", SOURCES)
def test_data_of_any_dtype(source: str, runner: Runner, dtype: str) -> None:
    """X and y are converted as they are gathered: as astype does, from any strides."""
    model = MODELS["relu"]
    plan = model.plan(dtype)
    values = np.random.RandomState(3).uniform(-100, 100, (10, 8))
    if source.startswith("u"):
        values = np.abs(values)
    whole = values.astype(source)

    def trained(data: Data) -> tuple[Array, Array]:
        state, out = model.state(plan), np.empty((10, 3), dtype)
        program = load(runner[0]).program(plan, state)
        program.run_steps(data, 0, 3, np.zeros(plan.sums))
        program.forward((data.X[0],), (out,))
        return state.theta, out

    wanted = Data((whole[:, :5].astype(dtype),), (whole[:, 5:].astype(dtype),), (), None, 4)
    theta, out = trained(wanted)
    for layout in ("C", "F", "strided", "reversed"):
        X, y = arranged(whole[:, :5], layout), arranged(whole[:, 5:], layout)
        got = trained(replace(wanted, X=(X,), y=(y,)))
        assert_same_bits(got[0], theta, f"{source} {layout}")
        assert_same_bits(got[1], out, f"{source} {layout}")


def arranged(values: Array, layout: str) -> Array:
    """The same values with other strides."""
    if layout == "C":
        return np.ascontiguousarray(values)
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]
    wide = np.zeros((values.shape[0] * 2, values.shape[1] * 3), values.dtype)
    wide[::2, ::3] = values
    return wide[::2, ::3]
