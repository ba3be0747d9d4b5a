"""What a model shows of one batch beside predictions: what every layer gives, the gradients of weights and inputs; and
steps by gradients that come from elsewhere.

A probe is a program of the same layers on the same weights, lowered for one question, so that no backend knows of it.
An engine keeps its probes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.data import Data
from ..core.arrays import Array, numeric, require_fit
from ..core.buffers import Value
from ..core.lowering import Lowering
from ..core.plan import Counter, ParameterEntry, ParameterLayout, Plan, Scalar
from ..core.specs import LossSpec
from ..core.state import State
from ..errors import ArgumentError, ArgumentTypeError, NotBuiltError
from ..layers import InputLayer, Layer, Rules
from . import graph
from .compiling import Engine, Recipe
from .graph import Call, Flat
from .requests import rows_of
from .weights import connected

if TYPE_CHECKING:
    from ..backends.protocol import Program
    from ..optimizers import Optimizer
    from .model import TrainableModel


def named_calls(flat: Flat) -> list[tuple[str, Call]]:
    """The calls of layers in order that a mode runs, by the layer's label; the second of a shared one is "label#2"."""
    counts: dict[str, int] = {}
    named = []
    for call in flat.calls:
        if not call.runs or not isinstance(call.operator, Layer) or isinstance(call.operator, InputLayer):
            continue
        counts[call.label] = number = counts.get(call.label, 0) + 1
        named.append((call.label if number == 1 else f"{call.label}#{number}", call))
    return named


def rules(recipe: Recipe | None) -> Rules:
    """What a training does to parameters, where only gradients are asked for."""
    trained = recipe.trained if recipe else None
    return Rules(lambda path: True, (lambda layer: layer.trains) if trained is None else trained.__contains__)


def activations(model: TrainableModel, x: object) -> dict[str, Array]:
    """What each layer gives for x; see `Trainer.activations`."""
    engine = model.predicting_engine(x)
    flat = model.flat_graph().predicting
    calls = named_calls(flat)

    def lower(builder: Lowering) -> Plan:
        every = flat._replace(outputs=tuple(call.result for _, call in calls))
        return builder.finish(outputs=graph.lower(every, builder, rules(model.recipe))[0])

    probe = _probe(engine, flat, "activations", lower)
    X = engine.checks.X(model.inputs_of(x), finite=False)
    outs = [np.empty((X[0].shape[0], width), probe.plan.dtype) for width in probe.plan.widths]
    probe.forward(X, outs)
    return {name: out.reshape(len(out), *call.row) for (name, call), out in zip(calls, outs, strict=True)}


def gradients(
    model: TrainableModel, x: object, y: object, sample_weight: object, output_gradient: object, inputs: bool
) -> Any:
    """The gradients of one batch; see `Trainer.gradients`."""
    if (y is None) == (output_gradient is None):
        raise ArgumentError("gradients: give y, for the gradients of the loss, or output_gradient, and not both")
    if output_gradient is not None:
        if sample_weight is not None:
            raise ArgumentError("gradients: sample_weight is of the loss; multiply output_gradient by it instead")
        return _of_outputs(model, x, output_gradient, inputs)
    with model.undone_if_refused():
        engine = model.trainable_engine(x)
        rows = rows_of(model, engine, x, y, sample_weight, None)
    data = Data(rows.X, rows.y, rows.w, None, rows.n)
    if not inputs:
        return _run(engine.program, data)[0]
    recipe, flat = model.recipe, model.flat_graph()
    assert recipe is not None  # or trainable_engine would have raised

    def lower(builder: Lowering) -> Plan:
        outputs, added = graph.lower(flat, builder, rules(recipe), _watched_inputs(builder, builder.inputs))
        losses = [None if loss is None else loss.spec() for loss in recipe.losses]
        return builder.finish(losses, (), None, outputs, recipe.loss_weights, added)

    return _with_inputs(model, *_run(_probe(engine, flat, "inputs", lower), data))


def _of_outputs(model: TrainableModel, x: object, output_gradient: object, inputs: bool) -> Any:
    """The gradients of sum(output * output_gradient), without penalties."""
    with model.undone_if_refused():
        engine, flat = model.predicting_engine(x), model.flat_graph()
        X = engine.checks.X(model.inputs_of(x))
        given = _by_output(model, engine, output_gradient, X[0].shape[0])

    def lower(builder: Lowering) -> Plan:
        own, factors = builder.inputs[: len(flat.inputs)], builder.inputs[len(flat.inputs) :]
        source = _watched_inputs(builder, own) if inputs else own
        ends = []
        outputs, _ = graph.lower(flat, builder, rules(model.recipe), source)
        for output, factor in zip(outputs, factors, strict=True):
            builder.value = output
            builder.binary("multiply", factor)
            builder.row_sum()
            ends.append(builder.value)
        plan = builder.finish([LossSpec("prediction")] * len(ends), (), None, ends)
        parameters = plan.parameters.copy()
        parameters[:, ParameterEntry.PENALTY] = -1
        parameters.setflags(write=False)
        return replace(plan, parameters=parameters)

    trains = rules(model.recipe).trains  # of a model that is not compiled it may change
    key = f"outputs {inputs} {[trains(layer) for layer in flat.layers]}"
    probe = _probe(engine, flat, key, lower, engine.plan.widths)
    n, dtype = X[0].shape[0], probe.plan.dtype
    nothing = np.broadcast_to(np.zeros((1, 1), dtype), (n, 1))  # the loss reads no targets
    weight = np.full(n, _inverse_of_share(n, dtype), dtype)
    count = len(given)
    data = Data((*X, *given), (nothing,) * count, (weight,) * count, None, n)
    found, dX = _run(probe, data)
    return _with_inputs(model, found, dX) if inputs else found


def _inverse_of_share(rows: int, dtype: np.dtype[Any]) -> float:
    """A weight of rows that makes 1, or next to it, of the 1 / rows by which a loss multiplies them."""
    share, best = dtype.type(1.0 / rows), dtype.type(rows)
    near = (best, np.nextafter(best, dtype.type(0)), np.nextafter(best, dtype.type(np.inf)))
    return float(min(near, key=lambda weight: abs(float(weight * share) - 1.0)))


def _watched_inputs(builder: Lowering, inputs: Sequence[Value]) -> list[Value]:
    """Copies of inputs, whose gradients a program makes and leaves where they are."""
    copies = []
    for value in inputs:
        builder.value = value
        builder.columns(0, value.width)
        builder.watch(builder.value)
        copies.append(builder.value)
    return copies


def _by_output(model: TrainableModel, engine: Engine, given: object, rows: int) -> list[Array]:
    """What is given for each output, flat: by name, in order, or for one output all of it; None is zeros."""
    shapes, names = engine.shapes, model.result_names
    several: Sequence[object] = [given]
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ArgumentError(f'output_gradient names "{unknown[0]}", the outputs are {", ".join(names)}')
        several = [given.get(name) for name in names]
    elif len(shapes) > 1:
        if not isinstance(given, list | tuple) or len(given) != len(shapes):
            raise ArgumentError(
                f"output_gradient is {type(given).__name__}, expected one array for each of the outputs "
                f"{', '.join(names)}: a list of {len(shapes)}, or a dict by name"
            )
        several = given
    arrays = []
    for name, one, shape in zip(names, several, shapes, strict=True):
        where = "output_gradient" if len(shapes) == 1 else f'output_gradient["{name}"]'
        array = np.zeros((rows, *shape)) if one is None else numeric(one, where)
        if array.shape != (rows, *shape) and not (shape == (1,) and array.shape == (rows,)):
            raise ArgumentError(f"{where} has shape {array.shape}, expected {(rows, *shape)}, as the predictions have")
        arrays.append(np.ascontiguousarray(array).reshape(rows, -1))
    return arrays


def _probe(
    engine: Engine, flat: Flat, key: str, lower: Callable[[Lowering], Plan], more: Sequence[int] = ()
) -> Program:
    """The probe of an engine for a question; `more`: the widths of inputs beside those of the graph."""
    probe = engine.probes.get(key)
    if probe is None:

        def lowered(layout: ParameterLayout | None) -> Plan:
            return lower(Lowering(engine.plan.dtype, *flat.widths, *more, layout=layout))

        plan, store = connected(flat.labels, lowered, 0)
        state = State(plan, 0, store)
        state.counters = engine.state.counters  # the same dropout as in the next step
        probe = engine.probes[key] = engine.backend.program(plan, state)
    return probe


def _run(program: Program, data: Data) -> tuple[dict[str, Array], list[Array]]:
    """The gradients of weights, by name, and of what the plan watches."""
    state, plan = program.state, program.plan
    with state.store.lock:
        program.gradient(data, np.zeros(plan.sums))
        found = {name: plan.layout.view(state.gradient, one).copy() for name, one in _by_name(plan).items()}
        watched = [buffer(program, int(unit), data.rows, int(width)) for unit, width, *_ in plan.watched]
    return found, watched


def buffer(program: Program, unit: int, rows: int, width: int) -> Array:
    """The rows of a buffer of the workspace, as the last batch left them; zeros where nobody makes it."""
    return program.buffer(unit, rows, width) if unit >= 0 else np.zeros((rows, width), program.plan.dtype)


def _with_inputs(model: TrainableModel, found: dict[str, Array], dX: list[Array]) -> tuple[dict[str, Array], Any]:
    rows = [one.reshape(len(one), *shape) for one, shape in zip(dX, model.flat_graph().rows, strict=True)]
    return found, rows[0] if len(rows) == 1 else rows


def trained(plan: Plan) -> list[Any]:
    """The parameters that a step of a plan trains."""
    offsets = set(plan.parameters[plan.parameters[:, ParameterEntry.TRAINABLE] == 1, ParameterEntry.OFFSET].tolist())
    return [parameter for parameter in plan.layout.of("theta") if parameter.offset in offsets]


def _by_name(plan: Plan) -> dict[str, Any]:
    """The parameters that a step of a plan trains, as `gradients` calls them."""
    return {f"{parameter.layer}/{parameter.name}": parameter for parameter in trained(plan)}


def update(program: Program, optimizer: Optimizer) -> None:
    """One step by the gradient that the program's state holds, at the optimizer's learning rate."""
    state = program.state
    rates = optimizer.rates(int(state.counters[Counter.STEP]), 1)
    if rates is not None:  # else the state has it
        state.scalars[Scalar.LEARNING_RATE] = rates[0]
    program.update()


def apply_gradients(model: TrainableModel, given: object) -> None:
    """One step of the optimizer by gradients that were made elsewhere; see `Trainer.apply_gradients`."""
    engine = model.engine()
    if model.recipe is None:
        raise NotBuiltError('apply_gradients: the model is not compiled; call compile(optimizer="adam", ...) first')
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            f"apply_gradients: got {type(given).__name__}, expected a dict by weight, as gradients() gives"
        )
    wanted = _by_name(engine.plan)
    for what, names in (("lacks", set(wanted) - set(given)), ("names", set(given) - set(wanted))):
        if names:
            known = ", ".join(f'"{name}"' for name in wanted)
            raise ArgumentError(f'apply_gradients: the dict {what} "{min(names)}"; the weights that train are {known}')
    arrays = {}
    for name, parameter in wanted.items():
        arrays[name] = array = numeric(given[name], f'apply_gradients: "{name}"')
        if array.shape != parameter.shape:
            raise ArgumentError(
                f'apply_gradients: "{name}" has shape {array.shape}, expected {parameter.shape}, as the weight has'
            )
        require_fit(array, engine.plan.dtype, f'apply_gradients: "{name}"')
    engine.state.store.require_idle("apply_gradients")
    while True:
        engine = model.engine()
        state, plan = engine.state, engine.plan
        with state.store.lock:
            if state.store.moved is not None:
                continue
            for name, parameter in _by_name(plan).items():
                plan.layout.view(state.gradient, parameter)[...] = arrays[name]
            update(engine.program, model.optimizer)
            return


__all__ = ["activations", "apply_gradients", "gradients", "named_calls", "trained"]
