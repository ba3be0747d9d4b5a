"""Graphs as plans: where values and gradients lie, what adds gradients, and what is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fastnn.backends.data import Data
from fastnn.core.buffers import Value
from fastnn.core.losses import LOSS_NAMES
from fastnn.core.lowering import Lowering
from fastnn.core.plan import Column, Fused, InputEntry, Kind, LossEntry, ParameterEntry, Plan, Role, Scalar, padded
from fastnn.core.specs import LossSpec, OptimizerSpec, ParameterSpec, Penalty
from fastnn.core.state import State
from plans import MODELS, MSE, SGD
from support import Array, load

NO_PENALTY = Penalty()


def dense(graph: Lowering, source: Value, units: int, name: str, spec: ParameterSpec | None = None) -> Value:
    """Another value of a graph."""
    graph.value = source
    graph.dense(name, units, spec or ParameterSpec(), spec or ParameterSpec())
    return graph.value


def activation(graph: Lowering, source: Value, name: str) -> Value:
    graph.value = source
    graph.activation(name)
    return graph.value


def merged(graph: Lowering, name: str, first: Value, second: Value) -> Value:
    graph.value = first
    graph.binary(name, second)
    return graph.value


def joined(graph: Lowering, *values: Value) -> Value:
    graph.join(values)
    return graph.value


def of_kind(plan: Plan, kind: Kind) -> list[dict[Column, int]]:
    """The instructions of a kind, each by its columns."""
    rows = plan.instructions[plan.instructions[:, Column.KIND] == kind].tolist()
    return [dict(zip(Column, row, strict=False)) for row in rows]


def gradient(plan: Plan, kernels: dict[str, float], d: tuple[float, ...]) -> dict[str, float]:
    """The first element of each parameter's gradient for one row of ones, where each loss has a gradient of its own."""
    state = State(plan)
    for parameter in plan.layout.parameters:
        state.view(parameter)[...] = kernels.get(parameter.layer, 1.0) if parameter.name == "kernel" else 0.0
    ones: tuple[Array, ...] = tuple(np.ones((1, width), plan.dtype) for width in plan.features)
    targets = tuple(np.full((1, 1), -np.inf) for _ in d)  # below every prediction: the slope of an absolute error is 1
    weights = tuple(np.array([weight], plan.dtype) for weight in d)
    load("reference").program(plan, state).gradient(Data(ones, targets, weights, None, 1), np.zeros(plan.sums))
    views = {f"{p.layer}/{p.name}": plan.layout.view(state.gradient, p) for p in plan.layout.parameters}
    return {name: float(view.flat[0]) for name, view in views.items()}


# Of three float32 whose sum, in this order, says which two were added first.
SUMS = (((1.0, 1.0, 2.0**24), 2.0**24 + 2), ((2.0**24, 1.0, 1.0), 2.0**24), ((1.0, 2.0**24, 1.0), 2.0**24))


def three_readers() -> Plan:
    graph = Lowering("float32", 1)
    value = dense(graph, graph.inputs[0], 1, "first")
    heads = [dense(graph, value, 1, name) for name in "abc"]
    return graph.finish([LossSpec("mean_absolute_error")] * 3, (), SGD, heads)


def test_gradients_of_three_readers_are_added_by_two_fans() -> None:
    plan = three_readers()
    assert plan.instructions[:, Column.KIND].tolist() == [Kind.DENSE, Kind.FAN, Kind.FAN, *[Kind.DENSE] * 3]
    first, *readers = of_kind(plan, Kind.DENSE)
    g = [reader[Column.GRAD_SRC] for reader in readers]
    assert len(set(g)) == 3 and min(g) >= 0
    last, before = of_kind(plan, Kind.FAN)  # from the end
    assert {before[Column.GRAD_DST], before[Column.GRAD_SECOND]} == {g[0], g[1]}
    assert {last[Column.GRAD_DST], last[Column.GRAD_SECOND]} == {before[Column.GRAD_SRC], g[2]}
    assert first[Column.GRAD_DST] == last[Column.GRAD_SRC]
    for fan in (last, before):
        assert fan[Column.GRAD_SRC] in (fan[Column.GRAD_DST], fan[Column.GRAD_SECOND])  # it needs no buffer
        assert fan[Column.SRC] == fan[Column.DST] == first[Column.DST]
    assert plan.parameters[:, ParameterEntry.INSTRUCTION].tolist() == [0, 0, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(("parts", "total"), SUMS)
def test_the_first_readers_gradients_are_added_first(parts: tuple[float, ...], total: float) -> None:
    found = gradient(three_readers(), dict(zip("abc", parts, strict=True)), (1.0, 1.0, 1.0))
    assert found["first/bias"] == total


def test_readers_that_make_no_gradient_get_no_fan() -> None:
    """A head without a loss, and readers of what nobody trains."""
    graph = Lowering("float32", 4)
    frozen = dense(graph, graph.inputs[0], 4, "frozen", ParameterSpec(trainable=False))
    value = dense(graph, merged(graph, "multiply", frozen, frozen), 4, "first")
    heads = [dense(graph, value, 1, name) for name in "ab"]
    plan = graph.finish([MSE, None], (), SGD, heads)
    assert not of_kind(plan, Kind.FAN)
    assert [row[Column.GRAD_SRC] >= 0 for row in of_kind(plan, Kind.DENSE)] == [False, False, True, False]
    (product,) = of_kind(plan, Kind.BINARY)
    assert (product[Column.GRAD_DST], product[Column.GRAD_SRC], product[Column.GRAD_SECOND]) == (-1, -1, -1)


def test_a_sum_gives_its_gradient_on() -> None:
    graph = Lowering("float32", 4)
    first, second = dense(graph, graph.inputs[0], 4, "a"), dense(graph, graph.inputs[0], 4, "b")
    merged(graph, "add", first, second)
    plan = graph.finish(MSE, (), SGD)
    (add,), parts = of_kind(plan, Kind.BINARY), of_kind(plan, Kind.DENSE)
    made = plan.losses[0, LossEntry.GRADIENT]
    assert (add[Column.GRAD_DST], add[Column.GRAD_SRC], add[Column.GRAD_SECOND]) == (made, -1, -1)
    assert [part[Column.GRAD_DST] for part in parts] == [made, made]
    assert plan.row_elements == 6 * padded(4)  # the input, three values, the targets and one gradient


def test_what_several_read_is_not_written_over() -> None:
    """A gradient that a sum gives on to two: relu's may not lie over it, and the last to read it may write there."""
    graph = Lowering("float32", 4)
    first = dense(graph, graph.inputs[0], 4, "a")
    merged(graph, "add", first, activation(graph, dense(graph, first, 4, "b"), "relu"))
    plan = graph.finish(MSE, (), SGD)
    (relu,), (fan,), (a, b) = (of_kind(plan, kind) for kind in (Kind.ACTIVATION, Kind.FAN, Kind.DENSE))
    made = plan.losses[0, LossEntry.GRADIENT]
    assert relu[Column.GRAD_DST] == made != relu[Column.GRAD_SRC] == b[Column.GRAD_DST] != b[Column.GRAD_SRC]
    assert {fan[Column.GRAD_DST], fan[Column.GRAD_SECOND]} == {made, b[Column.GRAD_SRC]}
    assert fan[Column.GRAD_SRC] == a[Column.GRAD_DST] != b[Column.GRAD_DST]  # that of b is read by its parameters
    graph = Lowering("float32", 4)
    first, second = dense(graph, graph.inputs[0], 4, "a"), dense(graph, graph.inputs[0], 4, "b")
    merged(graph, "subtract", first, second)
    (difference,) = of_kind(graph.finish(MSE, (), SGD), Kind.BINARY)
    assert difference[Column.GRAD_SRC] == -1  # given on, so that the other's has a buffer
    assert difference[Column.GRAD_SECOND] not in (-1, difference[Column.GRAD_DST])
    graph = Lowering("float32", 4)
    value = dense(graph, graph.inputs[0], 4, "a")
    merged(graph, "add", value, value)
    plan = graph.finish(MSE, (), SGD)
    (fan,) = of_kind(plan, Kind.FAN)
    assert fan[Column.GRAD_DST] == fan[Column.GRAD_SECOND] == plan.losses[0, LossEntry.GRADIENT]
    assert fan[Column.GRAD_SRC] != fan[Column.GRAD_DST]


@pytest.mark.parametrize(
    ("outputs", "in_place"),
    [
        (lambda g, x, z: [activation(g, z, "relu")], [True]),
        (lambda g, x, z: [activation(g, merged(g, "multiply", x, z), "tanh")], [True]),
        (lambda g, x, z: [activation(g, joined(g, x, z), "tanh")], [True]),
        # over a part whose slope reads it
        (lambda g, x, z: [activation(g, joined(g, activation(g, z, "relu"), x), "tanh")], [True, False]),
        (lambda g, x, z: [activation(g, x, "relu")], [False]),  # over an input
        (lambda g, x, z: [activation(g, z, "gelu")], [False]),  # whose derivative reads what it would be over
        (lambda g, x, z: [activation(g, activation(g, z, "tanh"), "relu")], [True, False]),  # tanh's reads its output
        (lambda g, x, z: [activation(g, z, "relu"), dense(g, z, 1, "b")], [False]),  # over what something else reads
        (lambda g, x, z: [merged(g, "multiply", activation(g, z, "relu"), z)], [False]),
        (lambda g, x, z: [activation(g, z, "relu"), activation(g, z, "tanh")], [False, False]),
        (lambda g, x, z: [activation(g, z, "relu"), z], [False]),  # over an output
    ],
)
def test_activations_in_place(outputs: Callable[[Lowering, Value, Value], list[Value]], in_place: list[bool]) -> None:
    graph = Lowering("float32", 4)
    ends = outputs(graph, graph.inputs[0], dense(graph, graph.inputs[0], 4, "a"))
    rows = of_kind(graph.finish([MSE] * len(ends), (), SGD, ends), Kind.ACTIVATION)
    assert [row[Column.SRC] == row[Column.DST] for row in rows] == in_place


def test_a_loss_takes_along_what_nothing_else_reads() -> None:
    spec = LossSpec("categorical_crossentropy")
    for others, name, fused in ((0, "softmax_crossentropy", Fused.BOTH), (1, "categorical_crossentropy", Fused.NONE)):
        graph = Lowering("float32", 4)
        shares = activation(graph, dense(graph, graph.inputs[0], 4, "a"), "softmax")
        heads = [shares, *(dense(graph, shares, 4, f"b_{n}") for n in range(others))]
        plan = graph.finish([spec, *[MSE] * others], (), SGD, heads)
        assert LOSS_NAMES[plan.losses[0, LossEntry.CODE]] == name
        assert of_kind(plan, Kind.SOFTMAX)[0][Column.FUSED] == fused
        assert len(of_kind(plan, Kind.FAN)) == others  # of the loss and of the other reader


def lies(row: dict[Column, int], gradient: bool = False) -> tuple[int, int, int]:
    """The unit of an instruction's output or of its gradient, the width of the rows there, and its first column."""
    if gradient:
        return row[Column.GRAD_DST], row[Column.GRAD_WHOLE], row[Column.GRAD_OFFSET]
    return row[Column.DST], row[Column.WHOLE], row[Column.OFFSET]


def test_parts_of_a_joined_value() -> None:
    """What nothing else reads lies there; other parts are copied."""
    graph = Lowering("float32", 4)
    first, second = dense(graph, graph.inputs[0], 3, "a"), dense(graph, graph.inputs[0], 17, "b")
    joined(graph, first, second, first)
    plan = graph.finish(MSE, (), SGD)
    parts, (a, b) = of_kind(plan, Kind.JOIN), of_kind(plan, Kind.DENSE)
    assert plan.widths == (23,) and [part[Column.OFFSET] for part in parts] == [0, 20]
    (unit,), (g,) = ({part[column] for part in parts} for column in (Column.DST, Column.GRAD_DST))
    assert lies(b) == (unit, 23, 3) and lies(b, gradient=True) == (g, 23, 3)
    copies = [part[Column.GRAD_SRC] for part in parts]
    assert len({*copies, g}) == 3
    (fan,) = of_kind(plan, Kind.FAN)
    assert {fan[Column.GRAD_DST], fan[Column.GRAD_SECOND]} == set(copies)
    assert lies(a, gradient=True) == (fan[Column.GRAD_SRC], 3, 0)


def test_what_lies_in_a_joined_value() -> None:
    """Inputs, embeddings, a DENSE and what is over it: no copies, and a gradient of those columns that want one."""
    graph = Lowering("float32", 5, 1)
    graph.value = graph.inputs[1]
    graph.embedding("table", 10, 3)
    hidden = activation(graph, dense(graph, graph.value, 4, "a"), "relu")
    graph.value = graph.inputs[1]
    graph.embedding("other", 10, 2)
    dense(graph, joined(graph, graph.inputs[0], hidden, graph.value), 1, "out")
    plan = graph.finish(MSE, (), SGD)
    (a, out), (relu,), (_, other) = (of_kind(plan, k) for k in (Kind.DENSE, Kind.ACTIVATION, Kind.EMBEDDING))
    unit, g = out[Column.SRC], out[Column.GRAD_SRC]
    assert not of_kind(plan, Kind.JOIN) and plan.inputs[0].tolist() == [unit, 5, 11, 0]
    assert lies(a) == lies(relu) == (unit, 11, 5) and lies(other) == (unit, 11, 9)
    assert lies(a, gradient=True) == lies(relu, gradient=True) == (g, 11, 5)
    assert lies(other, gradient=True) == (g, 11, 9)
    assert (out[Column.GRAD_FIRST], out[Column.GRAD_COLUMNS]) == (5, 6)
    # The codes, the first table's rows and their gradient, the joined value and its gradient, the output, the targets,
    # and the output's gradient.
    assert plan.row_elements == 8 * padded(1)


@pytest.mark.parametrize(
    "parts",
    [
        lambda g, z: [z, z],
        lambda g, z: [merged(g, "multiply", z, z)],  # which cannot write there
        lambda g, z: [joined(g, z, g.inputs[1])],
        lambda g, z: [activation(g, joined(g, z, g.inputs[1]), "relu")],
    ],
)
def test_what_does_not(parts: Callable[[Lowering, Value], list[Value]]) -> None:
    graph = Lowering("float32", 4, 4)
    made = parts(graph, dense(graph, graph.inputs[0], 4, "a"))
    whole = joined(graph, *made)
    plan = graph.finish(MSE, (), SGD)
    assert [row[Column.DST] for row in of_kind(plan, Kind.JOIN)] == [whole.unit] * len(made)


def test_gradients_that_others_read_are_not_written_over() -> None:
    """The gradient of a joined value that a sum gives on to another: relu's, of a part, may not lie over it."""
    graph = Lowering("float32", 4, 4)
    hidden = activation(graph, dense(graph, graph.inputs[0], 4, "a"), "relu")
    merged(graph, "add", joined(graph, hidden, graph.inputs[1]), dense(graph, graph.inputs[0], 8, "b"))
    plan = graph.finish(MSE, (), SGD)
    (a, b), (relu,) = of_kind(plan, Kind.DENSE), of_kind(plan, Kind.ACTIVATION)
    assert lies(a) == lies(relu) and lies(relu, gradient=True) == (b[Column.GRAD_DST], 8, 0)
    assert lies(a, gradient=True) == (relu[Column.GRAD_SRC], 4, 0) and a[Column.GRAD_DST] != b[Column.GRAD_DST]


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("relu", 96), ("activation first", 96), ("no bias", 112), ("prelu first", 208), ("dropout last", 144),
        ("classes, all at once", 192), ("layer_norm last", 176), ("all norms", 208), ("batch_norm twice", 336),
        ("wide", 672),
    ],
)  # fmt: skip
def test_a_chain_takes_so_many_elements_of_a_row(name: str, elements: int) -> None:
    assert MODELS[name].plan("float32").row_elements == elements


def shared(uses: int, penalty: Penalty = NO_PENALTY) -> Plan:
    graph = Lowering("float32", *[1] * uses)
    heads = [dense(graph, value, 1, "shared", ParameterSpec(penalty)) for value in graph.inputs]
    heads.append(dense(graph, graph.inputs[0], 1, "other"))
    return graph.finish([LossSpec("mean_absolute_error")] * len(heads), (), SGD, heads)


def test_a_parameter_of_two_instructions() -> None:
    """Has one row, which names the first of the rows of its uses."""
    plan = shared(2, Penalty(0.1, 0.2))
    assert [(p.layer, p.name, p.offset) for p in plan.layout.parameters] == [
        ("shared", "kernel", 0), ("shared", "bias", 16), ("other", "kernel", 32), ("other", "bias", 48),
    ]  # fmt: skip
    entry, table = ParameterEntry, plan.parameters
    assert table[:, entry.OFFSET].tolist() == [0, 16, 32, 48, 0, 0, 16, 16]
    assert table[:, entry.NEXT].tolist() == [4, 6, -1, -1, 5, -1, 7, -1]
    assert table[4:, entry.INSTRUCTION].tolist() == [0, 1, 0, 1] and table[2:4, entry.INSTRUCTION].tolist() == [2, 2]
    assert table[:, entry.TRAINABLE].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert (table[:, entry.PENALTY] >= 0).tolist() == [True] * 2 + [False] * 6
    assert table[:, entry.ROLE].tolist() == [Role.KERNEL, Role.BIAS] * 2 + [Role.KERNEL] * 2 + [Role.BIAS] * 2


@pytest.mark.parametrize(("parts", "total"), SUMS)
def test_gradients_of_uses_are_added_in_order(parts: tuple[float, ...], total: float) -> None:
    found = gradient(shared(3), {}, (*parts, 7.0))
    assert (found["shared/kernel"], found["shared/bias"], found["other/bias"]) == (total, total, 7.0)


def test_uses_that_lead_to_no_loss_do_not_count() -> None:
    graph = Lowering("float32", 1, 1)
    heads = [dense(graph, value, 1, "shared") for value in graph.inputs]
    plan = graph.finish([None, MSE], (), SGD, heads)
    assert plan.parameters[:, ParameterEntry.NEXT].tolist() == [-1, -1]
    assert plan.parameters[:, ParameterEntry.INSTRUCTION].tolist() == [1, 1]


def test_a_head_without_a_loss_is_not_trained() -> None:
    graph = Lowering("float32", 4)
    value = dense(graph, graph.inputs[0], 4, "first")
    heads = [dense(graph, value, 1, name) for name in ("silent", "trained")]
    plan = graph.finish([None, MSE], (), OptimizerSpec("sgd", weight_decay=0.1), heads)
    assert plan.parameters[:, ParameterEntry.TRAINABLE].tolist() == [1, 1, 0, 0, 1, 1]
    assert len(plan.losses) == 1 and plan.losses[0, LossEntry.PREDICTION] == plan.outputs[1, InputEntry.UNIT]
    assert plan.widths == (1, 1)
    state = State(plan)
    state.scalars[Scalar.LEARNING_RATE], state.theta[:] = 0.1, 0.5
    before = state.theta.copy()
    data = Data((np.ones((3, 4), np.float32),), (np.zeros((3, 1)),), (), None, 2)
    load("reference").program(plan, state).run_steps(data, 0, 2, np.zeros(plan.sums))
    moved = {p.layer: (plan.layout.view(before, p) != state.view(p)).any() for p in plan.layout.parameters}
    assert moved == {"first": True, "silent": False, "trained": True}
    # Without any loss nothing says what a model's parameters are for.
    graph = Lowering("float32", 4)
    dense(graph, graph.inputs[0], 4, "first")
    assert graph.finish().parameters[:, ParameterEntry.TRAINABLE].tolist() == [1, 1]


def test_a_prediction_uses_buffers_again() -> None:
    """A chain has two, however deep it is; blocks that add to what came before them have one more. What trains keeps
    all."""

    def elements(depth: int, residual: bool, predicts: bool) -> int:
        graph = Lowering("float32", 64)
        value = graph.value
        for number in range(depth):
            before, value = value, activation(graph, dense(graph, value, 64, f"dense_{number}"), "relu")
            value = merged(graph, "add", before, value) if residual else value
        return graph.finish(MSE, outputs=(value,), predicts=predicts).row_elements

    of_loss = 2 * 64  # targets, and the gradient of predictions
    for depth in (3, 50):
        assert elements(depth, False, True) == 2 * 64 + of_loss
        assert elements(depth, True, True) == 3 * 64 + of_loss
        assert elements(depth, False, False) >= depth * 64


def test_programs_of_two_widths_share_no_rows() -> None:
    """Rows of another length would be those of another thread."""
    graph = Lowering("float32", 64)
    for units in (32, 64, 32, 16):
        graph.dense(f"dense_{units}", units)
    plan = graph.finish()
    units = plan.instructions[:, [Column.DST, Column.OUTPUTS]].tolist()
    assert [unit for unit, _ in units] == [64, 0, 64, 96] and plan.row_elements == 112
