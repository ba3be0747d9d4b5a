"""What steps do beside gradients: moving averages, clipping, weighted metrics, rates of their own, ending at NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fastnn.backends.data import Data
from fastnn.backends.protocol import Program
from fastnn.core.plan import SUM_LOSS, Counter, MetricEntry, Plan, Scalar
from fastnn.core.specs import MetricSpec, Penalty
from fastnn.core.state import State
from plans import ADAM, ENDS, MODELS, SGD, Model
from support import DTYPES, RUNNERS, Array, Runner, assert_same_bits, load, runner_name

every_runner = pytest.mark.parametrize("runner", RUNNERS, indirect=True, ids=runner_name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
LAYERS: tuple[tuple[Any, ...], ...] = (("dense", 6), ("activation", "tanh"), ("dense", 2))


def made(runner: Runner, model: Model, dtype: str) -> tuple[Plan, State, Program, Data]:
    plan = model.plan(dtype)
    state = model.state(plan)
    return plan, state, load(runner[0]).program(plan, state), model.data(plan)


def statistics(plan: Plan, state: State) -> dict[str, Array]:
    return {parameter.name: state.view(parameter).copy() for parameter in plan.layout.of("statistics")}


@every_dtype
@every_runner
class TestStatistics:
    """What batch normalization keeps of the batches."""

    def test_moving_averages(self, runner: Runner, dtype: str) -> None:
        """m = 0.9 m + 0.1 x of the mean and the biased variance of each batch, the last and smaller one included."""
        plan, state, program, data = made(runner, Model("moving", (("batch_norm", {}), ("dense", 2))), dtype)
        kept = statistics(plan, state)
        mean, variance = kept["moving_mean"], kept["moving_variance"]
        program.run_steps(data, 0, data.steps, np.zeros(plan.sums))
        for start in range(0, len(data.X[0]), data.batch_size):
            X = data.X[0][start : start + data.batch_size].astype(np.float64)
            mean, variance = 0.9 * mean + 0.1 * X.mean(axis=0), 0.9 * variance + 0.1 * X.var(axis=0)
        kept = statistics(plan, state)
        tolerance = 8.0 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(kept["moving_mean"], mean, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(kept["moving_variance"], variance, rtol=tolerance, atol=tolerance)

    def test_only_training_moves_them(self, runner: Runner, dtype: str) -> None:
        plan, state, program, data = made(runner, MODELS["batch_norm"], dtype)
        before = state.statistics.copy()
        program.score(data, 0, data.steps, np.zeros(plan.sums))
        program.forward(data.X, (np.empty((data.rows, plan.widths[0]), dtype),))
        program.shuffle(np.empty(9, np.int64))
        assert_same_bits(state.statistics, before, "after inference")
        program.gradient(data, np.zeros(plan.sums))
        moved = state.statistics.copy()
        assert (moved != before).any()
        program.update()
        assert_same_bits(state.statistics, moved, "after update")

    def test_frozen_ones_stay(self, runner: Runner, dtype: str) -> None:
        plan, state, program, data = made(runner, MODELS["batch_norm frozen"], dtype)
        before = state.statistics.copy()
        program.run_steps(data, 0, data.steps, np.zeros(plan.sums))
        assert_same_bits(state.statistics, before, "frozen")

    def test_inference_is_the_formula(self, runner: Runner, dtype: str) -> None:
        plan, state, program, data = made(runner, Model("formula", (("batch_norm", {}),)), dtype)
        kept = statistics(plan, state)
        gamma, beta = (state.view(parameter) for parameter in plan.layout.of("theta"))
        out = np.empty((len(data.X[0]), plan.widths[0]), dtype)
        program.forward((data.X[0],), (out,))
        expected = (data.X[0] - kept["moving_mean"]) / np.sqrt(kept["moving_variance"] + 1e-3) * gamma + beta
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@every_dtype
@every_runner
class TestClipping:
    """The change of plain gradient descent at learning rate 1 is the clipped gradient."""

    def changes(self, runner: Runner, dtype: str, clip: str, limit: float) -> tuple[list[Array], list[Array]]:
        """The gradients before clipping, and what a step takes off the parameters, by parameter."""
        model = Model("clipping", LAYERS, optimizer=SGD._replace(clip=clip, limit=limit))
        plan, state, program, data = made(runner, model, dtype)
        state.scalars[Scalar.LEARNING_RATE] = 1.0
        before = state.theta.copy()
        program.gradient(data, np.zeros(plan.sums))
        gradient = state.gradient.copy()
        program.update()
        pairs = (gradient, before - state.theta)
        first, second = ([plan.layout.view(vector, p) for p in plan.layout.parameters] for vector in pairs)
        return first, second

    def test_value(self, runner: Runner, dtype: str) -> None:
        gradients, changes = self.changes(runner, dtype, "value", 0.125)
        assert any((np.abs(g) > 0.125).any() for g in gradients)
        for g, change in zip(gradients, changes, strict=True):
            np.testing.assert_allclose(change, np.clip(g, -0.125, 0.125), atol=1e-6)

    def test_norm(self, runner: Runner, dtype: str) -> None:
        gradients, changes = self.changes(runner, dtype, "norm", 0.5)
        norms = [np.linalg.norm(g) for g in gradients]
        assert max(norms) > 0.5 > min(norms)
        for g, norm, change in zip(gradients, norms, changes, strict=True):
            np.testing.assert_allclose(change, g * min(1.0, 0.5 / norm), atol=1e-6)

    def test_global_norm(self, runner: Runner, dtype: str) -> None:
        gradients, changes = self.changes(runner, dtype, "global_norm", 0.25)
        norm = math.sqrt(sum(np.square(g).sum() for g in gradients))
        assert norm > 0.25
        for g, change in zip(gradients, changes, strict=True):
            np.testing.assert_allclose(change, g * (0.25 / norm), atol=1e-6)

    @pytest.mark.parametrize("clip", ["value", "norm", "global_norm"])
    def test_out_of_reach_changes_no_bit(self, clip: str, runner: Runner, dtype: str) -> None:
        found = []
        for spec in (ADAM, ADAM._replace(clip=clip, limit=1e3)):
            plan, state, program, data = made(runner, Model("clipping", LAYERS, optimizer=spec), dtype)
            program.run_steps(data, 0, data.steps, np.zeros(plan.sums))
            found.append(state.theta)
        assert_same_bits(found[1], found[0], clip)


@every_dtype
@every_runner
class TestWeightedMetrics:
    """Sums of w times a row's value, beside those that count every row as one."""

    def test_means(self, runner: Runner, dtype: str) -> None:
        specs = (MetricSpec("mean_absolute_error", weighted=True), MetricSpec("mean_absolute_error"))
        model = Model("means", (("dense", 2),), metrics=specs, weighted=True)
        plan, _, program, data = made(runner, model, dtype)
        sums, out = np.zeros(plan.sums), np.empty((len(data.X[0]), plan.widths[0]), dtype)
        program.score(data, 0, data.steps, sums)
        program.forward((data.X[0],), (out,))
        (y,), (w,) = data.y, data.w
        assert w is not None
        errors = np.abs(out - y).mean(axis=1)
        expected = [w @ errors, w.sum(dtype=np.float64), errors.sum()]
        np.testing.assert_allclose(sums[plan.metrics[0, MetricEntry.SLOT] :], expected, rtol=1e-5)

    def test_r2_score(self, runner: Runner, dtype: str) -> None:
        model = Model("r2", (("dense", 2),), metrics=(MetricSpec("r2_score", weighted=True),), weighted=True)
        plan, _, program, data = made(runner, model, dtype)
        sums, out = np.zeros(plan.sums), np.empty((len(data.X[0]), plan.widths[0]), dtype)
        program.score(data, 0, data.steps, sums)
        program.forward((data.X[0],), (out,))
        (y,), (given,) = data.y, data.w
        assert given is not None
        w = given.astype(np.float64)
        expected = np.concatenate([w @ y, w @ y**2, w @ (y - out) ** 2, [w.sum()]])
        np.testing.assert_allclose(sums[plan.metrics[0, MetricEntry.SLOT] :], expected, rtol=1e-4)

    def test_equal_weights_have_the_bits_of_none(self, runner: Runner, dtype: str) -> None:
        found = []
        for weighted in (False, True):
            specs = tuple(MetricSpec(name, weighted=weighted) for name in ("r2_score", "mean_squared_error"))
            plan, _, program, data = made(runner, Model("equal", (("dense", 2),), metrics=specs), dtype)
            sums = np.zeros(plan.sums)
            program.score(data, 0, data.steps, sums)
            found.append(sums)
        assert_same_bits(found[1][: found[0].size], found[0], "sums")
        assert found[1][-1] == 39.0  # the sum of the weights


@every_dtype
@every_runner
class TestRates:
    """A learning rate for each step of a slice."""

    @pytest.mark.parametrize("name", ["batch_norm", "penalties", "global_norm adam", "nesterov decay 0.01"])
    def test_rates_are_those_of_single_steps(self, name: str, runner: Runner, dtype: str) -> None:
        rates = np.array([0.05, 0.0, 0.2])
        model = MODELS[name]._replace(batch=10)
        plan, together, program, data = made(runner, model, dtype)
        sums = np.zeros((2, plan.sums))
        assert program.run_steps(data, 0, 3, sums[0], rates=rates) == 3
        _, apart, program, data = made(runner, model, dtype)
        for step, rate in enumerate(rates):
            apart.scalars[Scalar.LEARNING_RATE] = rate
            assert program.run_steps(data, step, step + 1, sums[1]) == 1
        assert_same_bits(together.theta, apart.theta, "theta")
        assert_same_bits(together.scalars, apart.scalars, "scalars")
        assert_same_bits(sums[0], sums[1], "sums")
        assert together.scalars[Scalar.LEARNING_RATE] == 0.2


@every_dtype
@every_runner
class TestStop:
    """The end after the first step whose loss is not finite."""

    def test_ends_at_the_first(self, runner: Runner, dtype: str) -> None:
        model = Model("stop", LAYERS, optimizer=ADAM, batch=10)
        plan, state, program, data = made(runner, model, dtype)
        data.X[0][25] = np.nan
        sums = np.zeros((2, plan.sums))
        assert program.run_steps(data, 0, 4, sums[0], stop=True) == 3
        assert not np.isfinite(sums[0, SUM_LOSS])
        assert state.counters[Counter.STEP] == 3
        _, exact, program, _ = made(runner, model, dtype)
        assert program.run_steps(data, 0, 3, sums[1]) == 3
        assert_same_bits(state.theta, exact.theta, "theta")
        assert_same_bits(state.scalars, exact.scalars, "scalars")
        assert_same_bits(sums[0], sums[1], "sums")

    def test_at_the_last_step_of_a_slice(self, runner: Runner, dtype: str) -> None:
        plan, state, program, data = made(runner, Model("stop", LAYERS, batch=10), dtype)
        data.X[0][25] = np.inf
        sums = np.zeros(plan.sums)
        assert program.run_steps(data, 0, 2, sums, stop=True) == 2
        assert program.run_steps(data, 2, 3, sums, stop=True) == 1
        assert state.counters[Counter.STEP] == 3

    def test_finite_training_has_the_same_bits(self, runner: Runner, dtype: str) -> None:
        model, found = MODELS["classes, all at once"], []
        for stop in (False, True):
            plan, state, program, data = made(runner, model, dtype)
            sums = np.zeros(plan.sums)
            assert program.run_steps(data, 0, data.steps, sums, stop=stop) == data.steps
            found.append(np.concatenate([state.theta.astype(np.float64), sums]))
        assert_same_bits(found[1], found[0], "stop")

    def test_without_it_training_goes_on(self, runner: Runner, dtype: str) -> None:
        plan, state, program, data = made(runner, ENDS["special clip"], dtype)
        assert program.run_steps(data, 0, data.steps, np.zeros(plan.sums)) == data.steps
        assert state.counters[Counter.STEP] == data.steps

    def test_penalties_count(self, runner: Runner, dtype: str) -> None:
        """The loss that is looked at has the penalties in it."""
        layers = (("dense", 2, {"kernel_penalty": Penalty(math.inf)}),)
        plan, _, program, data = made(runner, Model("penalty", layers), dtype)
        assert program.run_steps(data, 0, data.steps, np.zeros(plan.sums), stop=True) == 1
