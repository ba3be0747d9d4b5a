"""Graphs of calls: from symbolic tensors to the layers between them, in Keras's order, and to a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..core.buffers import Value
from ..core.function_table import BY_MODE
from ..core.lowering import Lowering
from ..core.symbolic import Function, Node, Tensor
from ..errors import ArgumentError
from ..layers import InputLayer, Layer, Rules, Shape


class Call(NamedTuple):
    """One call of a layer or a function, in a graph whose models are taken apart: which values it reads and makes."""

    operator: Any
    label: str
    sources: tuple[int, ...]
    result: int
    row: Shape
    runs: bool  # or only the other mode needs it


class Flat(NamedTuple):
    """A graph whose models are taken apart, as it is in training."""

    calls: list[Call]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    losses: list[int | None]  # values whose means are added to the loss; None is of the other mode
    labels: dict[Layer, str]  # of each layer, unique
    rows: tuple[Shape, ...]  # shapes of one row of each input
    shapes: tuple[Shape, ...]  # and of each output
    names: tuple[str, ...]  # of the inputs
    inference: Flat | None = None  # the same calls as they are in inference, where that differs

    @property
    def predicting(self) -> Flat:
        """As it is in inference."""
        return self.inference or self

    @property
    def layers(self) -> list[Layer]:
        """Each layer once, in the order of the first calls."""
        return list(self.labels)

    @property
    def widths(self) -> tuple[int, ...]:
        """The elements of one row of each input."""
        return tuple(math.prod(row) for row in self.rows)


class Graph:
    """What lies between inputs and outputs.

    Attributes:
        inputs, outputs: tensors. added: those of which the means are added to the loss, as they were given.
        nodes: the calls, in an order in which each comes after those that it reads.
        operators: layers, models and functions, once each, in Keras's order: by their distance from the outputs.

    Raises:
        ArgumentError: an output that the inputs do not lead to, or an input that is none.
    """

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], losses: Sequence[Tensor] = ()) -> None:
        self.inputs, self.outputs, self.added = tuple(inputs), tuple(outputs), tuple(losses)
        reached, met = self._reached()
        self._holders = [node for node in reached if node.losses]  # whose layers added to the loss
        depths: dict[int, int] = {}
        of_operator: dict[int, int] = {}
        for node in reversed(reached):
            depth = max(depths.get(id(node), 0), of_operator.get(id(node.operator), 0))
            depths[id(node)] = of_operator[id(node.operator)] = depth
            for tensor in () if self._ends(node) else node.inputs:
                depths[id(tensor.node)] = max(depth + 1, depths.get(id(tensor.node), 0))
        for tensor in self.inputs:
            if id(tensor.node) not in depths:  # an input that nothing reads
                depths[id(tensor.node)] = of_operator[id(tensor.node.operator)] = 0
                met.setdefault(id(tensor.node.operator), (-1, tensor.node.operator))
                reached.append(tensor.node)
        position = {id(node): number for number, node in enumerate(reached)}
        self.nodes = sorted(reached, key=lambda node: (-depths[id(node)], position[id(node)]))
        order = sorted(met.values(), key=lambda found: (-of_operator[id(found[1])], found[0]))
        self.operators = [operator for _, operator in order]

    def __getstate__(self) -> dict[str, object]:
        """Calls before what they lead to: copying goes back along the calls, and must not go back along all at once."""
        return {"nodes": self.nodes, **vars(self)}

    def _ends(self, node: Node) -> bool:
        """Whether the walk back from the outputs ends at a node."""
        return not node.inputs or any(given.node is node for given in self.inputs)

    def _reached(self) -> tuple[list[Node], dict[int, tuple[int, Any]]]:
        """The nodes that lead to the outputs, each after those that it reads; and each operator with the number of
        those that were met before it."""
        reached: list[Node] = []
        done: set[int] = set()
        met: dict[int, tuple[int, Any]] = {}
        stack: list[tuple[Node, int]] = [(tensor.node, 0) for tensor in reversed((*self.outputs, *self.added))]
        while stack:  # a deep network would be too much for recursion
            node, number = stack.pop()
            if id(node) in done:
                continue
            met.setdefault(id(node.operator), (len(met), node.operator))
            inputs = () if self._ends(node) else node.inputs
            if number < len(inputs):
                stack += [(node, number + 1), (inputs[number].node, 0)]
                continue
            if isinstance(node.operator, InputLayer) and not any(node is tensor.node for tensor in self.inputs):
                given = ", ".join(f'"{tensor.name}"' for tensor in self.inputs)
                raise ArgumentError(
                    f'Model: an output depends on the input "{node.operator.name}", which is not among: {given}'
                )
            done.add(id(node))
            reached.append(node)
            stack += [(tensor.node, 0) for tensor in node.losses]
        return reached, met

    @property
    def differs(self) -> bool:
        """Whether it is another one in inference."""
        return any(
            operator.function == BY_MODE if isinstance(operator, Function) else operator.layer_graph().differs
            for operator in self.operators
            if not isinstance(operator, Layer)
        )

    def flat(self) -> Flat:
        """The graph with its models taken apart."""
        flat = self._flat(True)
        return flat._replace(inference=self._flat(False)) if self.differs else flat

    def _flat(self, training: bool) -> Flat:
        rows, shapes = ([tensor.row for tensor in tensors] for tensors in (self.inputs, self.outputs))
        names = tuple(tensor.name for tensor in self.inputs)
        made = Flat([], tuple(range(len(self.inputs))), (), [], {}, tuple(rows), tuple(shapes), names)
        outputs = self._flatten(made, made.inputs, "", training, True)
        return made._replace(outputs=tuple(outputs))

    def _running(self, training: bool) -> set[int]:
        """The nodes that lead to the outputs in a mode."""
        running: set[int] = set()
        stack = [tensor.node for tensor in (*self.outputs, *self.added)]
        while stack:
            node = stack.pop()
            if id(node) not in running:
                running.add(id(node))
                read = () if self._ends(node) else (_chosen(node, training),) if _by_mode(node) else node.inputs
                stack += [tensor.node for tensor in (*read, *node.losses)]
        return running

    def _flatten(self, made: Flat, inputs: Sequence[int], prefix: str, training: bool, runs: bool) -> list[int]:
        values = {tensor.key: number for tensor, number in zip(self.inputs, inputs, strict=True)}
        running = self._running(training) if runs else set()
        for node in self.nodes:
            if all(tensor.key in values for tensor in node.outputs):
                continue
            if _by_mode(node):
                values[node.outputs[0].key] = values[_chosen(node, training).key]
                continue
            sources = tuple(values[tensor.key] for tensor in node.inputs)
            operator, its = node.operator, id(node) in running
            if isinstance(operator, Layer | Function):
                results = [len(made.inputs) + len(made.calls)]
                label = prefix + operator.name
                if isinstance(operator, Layer):
                    label = made.labels.setdefault(operator, _free(label, made.labels))
                made.calls.append(Call(operator, label, sources, results[0], node.outputs[0].row, its))
            else:
                results = operator.layer_graph()._flatten(made, sources, f"{prefix}{operator.name}/", training, its)
            values |= {tensor.key: number for tensor, number in zip(node.outputs, results, strict=True)}
        made.losses.extend(values[tensor.key] if runs else None for tensor in self.added)
        for node in self._holders:
            made.losses.extend(values[tensor.key] if id(node) in running else None for tensor in node.losses)
        return [values[tensor.key] for tensor in self.outputs]


def _by_mode(node: Node) -> bool:
    return isinstance(node.operator, Function) and node.operator.function == BY_MODE


def _chosen(node: Node, training: bool) -> Tensor:
    return node.inputs[0 if training else 1]


def _free(label: str, taken: Mapping[Layer, str]) -> str:
    """A label that no other layer has."""
    others, number, found = set(taken.values()), 0, label
    while found in others:
        number += 1
        found = f"{label}_{number}"
    return found


def lower(flat: Flat, builder: Lowering, rules: Rules, inputs: Sequence[Value] = ()) -> tuple[list[Value], list[Value]]:
    """Adds the instructions of a graph to a plan, and the parameters of layers that are of the other mode; gives the
    values of its outputs, and those added to the loss, 0 for what is of the other mode.

    Args:
        inputs: what the graph reads, unless it is the plan's inputs.
    """
    values = dict(zip(flat.inputs, inputs or builder.inputs, strict=True))
    for call in flat.calls:
        if not call.runs:
            builder.next_layer()  # numbers are those of both modes
            continue
        sources = [values[number] for number in call.sources]
        builder.label = call.label
        if isinstance(call.operator, Layer):
            call.operator.lower_values(builder, sources, rules)
        else:
            call.operator.lower_values(builder, sources)
        values[call.result] = builder.value
        builder.next_layer()
    _add_idle(flat, builder, rules)
    losses = []
    for number in flat.losses:
        if number is None:
            builder.fill(0.0, 1)
        losses.append(builder.value if number is None else values[number])
    return [values[number] for number in flat.outputs], losses


def _add_idle(flat: Flat, builder: Lowering, rules: Rules) -> None:
    """Adds the parameters of layers that no call of this mode uses."""
    done = {call.operator for call in flat.calls if call.runs}
    idle = [call for call in flat.calls if not call.runs and isinstance(call.operator, Layer)]
    if not idle:
        return
    widths = dict(zip(flat.inputs, flat.widths, strict=True))
    widths |= {call.result: math.prod(call.row) for call in flat.calls}
    for call in idle:
        if call.operator not in done:
            done.add(call.operator)
            builder.label = call.label
            with builder.idle([widths[number] for number in call.sources]) as sources:
                call.operator.lower_values(builder, sources, rules)


def input_layer(tensor: Tensor) -> InputLayer | None:
    """The `Input` that a tensor comes from."""
    operator = tensor.node.operator
    return operator if isinstance(operator, InputLayer) else None


__all__ = ["Call", "Flat", "Graph", "input_layer", "lower"]
