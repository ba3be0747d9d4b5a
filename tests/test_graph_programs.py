"""Programs of graphs: whatever instructions a plan has, every backend has the bits of its operations one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn import backends
from fastnn.backends.data import Data
from fastnn.backends.passes import view_of
from fastnn.backends.protocol import Program
from fastnn.core.binary import BINARY
from fastnn.core.buffers import Value
from fastnn.core.lowering import Lowering
from fastnn.core.plan import SUM_LOSS, ParameterEntry, Plan, Scalar
from fastnn.core.specs import TRAINED, LossSpec, MetricSpec, OptimizerSpec, ParameterSpec, Penalty
from fastnn.core.state import State
from support import DTYPES, TWINS, Array, Runner, assert_same_bits, load, runner_name

ADAM = OptimizerSpec("adam", (0.9, 0.999, 1e-7))
CLIPPED = OptimizerSpec("sgd", (), clip="global_norm", limit=0.5)
MSE, SPARSE = LossSpec("mean_squared_error"), LossSpec("sparse_categorical_crossentropy")
ROWS, BATCH = 21, 8
# A power is NaN where the first is below 0; of the functions those that exist everywhere.
MERGES = [name for name in BINARY if name != "power"]
FUNCTIONS = ["abs", "sign", "sin", "cos", "arctan", "erf", "floor", "round"]


class Graph:
    """A random graph: values so far, and layers that may be called again."""

    def __init__(self, random: np.random.RandomState, dtype: str, depth: int) -> None:
        self.random, self.lowering = random, Lowering(dtype, *random.randint(1, 20, 1 + random.randint(3)).tolist())
        self.values: list[Value] = list(self.lowering.inputs)
        self.shared: list[tuple[int, Callable[[], None]]] = []  # the width of what it reads, and a layer
        self.codes: set[int] = set()  # the inputs that embeddings read
        for number in range(depth):
            self.lowering.value = self.pick()
            self.layer(f"layer_{number}")
            self.values.append(self.lowering.value)
            self.lowering.next_layer()

    def pick(self) -> Value:
        """A value, rather one of the last."""
        return self.values[-1 - int(self.random.exponential(1.5)) % len(self.values)]

    def of_width(self, width: int, name: str) -> Value:
        """A value of a width, made where there is none; what is read next stays."""
        kept, value = self.lowering.value, self.pick()
        if value.width != width:
            self.lowering.value = value
            self.lowering.dense(f"{name}_fit", width)
            value = self.lowering.value
        self.lowering.value = kept
        return value

    def call(self, layer: Callable[[], None]) -> None:
        """A layer that may be called again."""
        self.shared.append((self.lowering.value.width, layer))
        layer()

    def layer(self, name: str) -> None:
        lowering, random = self.lowering, self.random
        match random.randint(13):
            case 0 | 1:
                units = int(random.randint(1, 20))
                penalty = Penalty(0.0, 0.01) if random.randint(3) == 0 else Penalty()
                self.call(partial(lowering.dense, name, units, ParameterSpec(penalty, bool(random.randint(5)))))
                lowering.activation(str(random.choice(["relu", "tanh", "gelu", "linear", "softmax"])))
            case 2 if self.shared:
                width, again = self.shared[random.randint(len(self.shared))]
                lowering.value = self.of_width(width, name)
                again()
            case 3:
                lowering.binary(str(random.choice(MERGES)), self.of_width(lowering.value.width, name))
            case 4:
                lowering.join([lowering.value, *(self.pick() for _ in range(random.randint(1, 3)))])
            case 5:
                start = random.randint(lowering.value.width)
                lowering.columns(int(start), int(random.randint(start, lowering.value.width)) + 1)
            case 6:
                one_column = (lowering.row_sum, partial(lowering.fill, 0.5, 1), partial(lowering.random, 1))
                one_column[random.randint(3)]()
                lowering.repeat(int(random.randint(1, 9)))
            case 7:
                self.call(partial(lowering.layer_norm, name, 1e-3))
            case 8:
                self.call(partial(lowering.batch_norm, name, 0.9, 1e-3))
            case 9:
                lowering.value = lowering.inputs[random.randint(len(lowering.inputs))]
                self.codes.add(lowering.value.index)
                if random.randint(2):
                    lowering.embedding("table", 5, 3)
                else:
                    lowering.embedding(name, 5, int(random.randint(1, 6)))
            case 10:
                lowering.dropout(0.3)
                lowering.affine(0.7, 0.1)
            case 11:
                self.call(partial(lowering.row_wise, "prelu", name, (TRAINED,)))
            case _:
                lowering.activation(str(random.choice(["relu", "sigmoid", "silu", *FUNCTIONS])))

    def plan(self, predicts: bool = False) -> Plan:
        """With one to three heads, each with a loss of its own."""
        random, outputs, losses = self.random, [], []
        for head in range(random.randint(1, 4)):
            self.lowering.value = self.values[-1] if head == 0 else self.pick()
            if random.randint(4):
                self.lowering.dense(f"head_{head}", 3)
                self.lowering.activation(str(random.choice(["softmax", "linear"])))
            outputs.append(self.lowering.value)
            losses.append(SPARSE if outputs[-1].width > 1 and random.randint(2) else MSE)
        metrics = tuple(
            MetricSpec("mean_absolute_error", output=n, weighted=n == 1) for n, loss in enumerate(losses) if loss is MSE
        )
        weights = [1.0, 0.3, 2.0][: len(losses)]
        added = []
        if random.randint(3) == 0:
            self.lowering.value = self.pick()
            self.lowering.row_sum()
            self.lowering.activation("tanh")
            added.append(self.lowering.value)
        optimizer = None if predicts else ADAM if random.randint(2) else CLIPPED
        return self.lowering.finish(losses, metrics, optimizer, outputs, weights, added, predicts)


def state_of(plan: Plan, random: np.random.RandomState) -> State:
    state = State(plan, seed=7)
    for parameter in plan.layout.parameters:
        values = random.standard_normal(parameter.shape) / np.sqrt(parameter.shape[0])
        state.view(parameter)[...] = np.abs(values) + 0.5 if "variance" in parameter.name else values
    state.scalars[Scalar.LEARNING_RATE] = 0.02
    return state


def data_of(plan: Plan, codes: set[int], random: np.random.RandomState) -> Data:
    X = tuple(
        random.randint(0, 5, (ROWS, width))
        if number in codes
        else random.standard_normal((ROWS, width)).astype(plan.dtype)
        for number, width in enumerate(plan.features)
    )
    y = []
    for width, sparse in zip([*plan.widths, 1][: len(plan.losses)], plan.sparse, strict=True):  # an added loss has one
        y.append(random.randint(0, width, (ROWS, 1)) if sparse else random.standard_normal((ROWS, width)))
    w = [random.uniform(0, 2, ROWS).astype(plan.dtype) if random.randint(2) else None for _ in y]
    return Data(X, tuple(y), tuple(w), random.permutation(ROWS), BATCH)


def run(backend: Any, plan: Plan, state: State, data: Data) -> list[Array]:
    """Everything that programs make of a plan."""
    program, sums, gradient = backend.program(plan, state), np.zeros(plan.sums), np.zeros(plan.sums)
    program.run_steps(data, 0, data.steps, sums)
    program.gradient(data, gradient)
    return [state.theta.copy(), state.statistics.copy(), state.gradient, sums, gradient, *predicted(program, data)]


def predicted(program: Program, data: Data) -> list[Array]:
    """What a program makes that changes no weights."""
    plan, sums = program.plan, np.zeros(program.plan.sums)
    outs = [np.full((ROWS, width), np.nan, plan.dtype) for width in plan.widths]
    program.score(data, 0, data.steps, sums)
    program.forward(data.X, outs)
    return [sums, *outs]


def made(backend: Any, seed: int, depth: int, dtype: str) -> list[Array]:
    random = np.random.RandomState(seed)
    graph = Graph(random, dtype, depth)
    plan = graph.plan()
    state, data = state_of(plan, random), data_of(plan, graph.codes, random)
    found = run(backend, plan, state, data)
    smaller = Graph(np.random.RandomState(seed), dtype, depth).plan(predicts=True)
    assert smaller.row_elements <= plan.row_elements
    for number, (array, other) in enumerate(
        zip(predicted(backend.program(smaller, state.beside(smaller)), data), found[5:], strict=True)
    ):
        assert_same_bits(array, other, f"seed {seed}, depth {depth}, what is predicted, array {number}")
    return found


@cache
def by_the_reference(seed: int, depth: int, dtype: str) -> list[Array]:
    return made(backends.get("reference"), seed, depth, dtype)


def compare(seed: int, depth: int, runner: Runner, dtype: str) -> None:
    pairs = zip(by_the_reference(seed, depth, dtype), made(load(runner[0]), seed, depth, dtype), strict=True)
    for number, (wanted, got) in enumerate(pairs):
        assert_same_bits(got, wanted, f"seed {seed}, depth {depth}, array {number}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("runner", TWINS, indirect=True, ids=runner_name)
def test_random_graphs_have_the_bits_of_the_reference(runner: Runner, dtype: str) -> None:
    """Merges, values that several instructions read, shared weights, several inputs and heads."""

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**31), st.integers(1, 12))
    def check(seed: int, depth: int) -> None:
        compare(seed, depth, runner, dtype)

    check()


def loss_along(program: Program, data: Data, direction: Array, width: float) -> float:
    """The mean loss of the first batch, so far from the parameters in a direction; leaves its gradient."""
    theta, sums = program.state.theta, np.zeros(program.plan.sums)
    start = theta.copy()
    theta += width * direction
    program.gradient(data, sums)
    theta[:] = start
    return float(sums[SUM_LOSS]) / data.batch_size


def test_the_gradient_of_a_random_graph_is_the_slope() -> None:
    """Along a direction, by central differences: what backends agree on is right, wherever buffers lie."""

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**31), st.integers(1, 12))
    def check(seed: int, depth: int) -> None:
        random = np.random.RandomState(seed)
        graph = Graph(random, "float64", depth)
        plan = graph.plan()
        state, direction = state_of(plan, random), np.zeros(plan.layout.size)
        program, data = backends.get("reference").program(plan, state), data_of(plan, graph.codes, random)
        along = partial(loss_along, program, data, direction)
        for row in plan.parameters[plan.parameters[:, ParameterEntry.TRAINABLE] == 1]:
            part = direction[view_of(row)]
            part[:] = random.standard_normal(part.size)
        if not np.isfinite(along(0.0)):  # a quotient
            return
        terms = state.gradient * direction
        slopes = [(along(width) - along(-width)) / (2 * width) for width in (1e-5, 1e-7)]  # one may cross an edge
        error = min(abs(slope - terms.sum()) for slope in slopes)
        assert error <= 1e-4 * np.abs(terms).sum() + 1e-6, f"seed {seed}, depth {depth}"

    check()
