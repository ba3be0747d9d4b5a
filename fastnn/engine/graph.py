"""Graphs of calls: from symbolic tensors to the layers between them, in Keras's order, and to a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..core.buffers import Value
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


class Flat(NamedTuple):
    """A graph whose models are taken apart."""

    calls: list[Call]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    losses: list[int]  # values whose means are added to the loss
    labels: dict[Layer, str]  # of each layer, unique
    rows: tuple[Shape, ...]  # shapes of one row of each input
    shapes: tuple[Shape, ...]  # and of each output
    names: tuple[str, ...]  # of the inputs

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
        losses: these, and what layers that compose others added.
        nodes: the calls, in an order in which each comes after those that it reads.
        operators: layers, models and functions, once each, in Keras's order: by their distance from the outputs.

    Raises:
        ArgumentError: an output that the inputs do not lead to, or an input that is none.
    """

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], losses: Sequence[Tensor] = ()) -> None:
        self.inputs, self.outputs, self.added = tuple(inputs), tuple(outputs), tuple(losses)
        reached, met = self._reached()
        self.losses = (*self.added, *(loss for node in reached for loss in node.losses))
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

    def flat(self) -> Flat:
        """The graph with its models taken apart."""
        rows, shapes = ([tensor.row for tensor in tensors] for tensors in (self.inputs, self.outputs))
        names = tuple(tensor.name for tensor in self.inputs)
        made = Flat([], tuple(range(len(self.inputs))), (), [], {}, tuple(rows), tuple(shapes), names)
        outputs = self._flatten(made, made.inputs, "")
        return made._replace(outputs=tuple(outputs))

    def _flatten(self, made: Flat, inputs: Sequence[int], prefix: str) -> list[int]:
        values = {tensor.key: number for tensor, number in zip(self.inputs, inputs, strict=True)}
        for node in self.nodes:
            if all(tensor.key in values for tensor in node.outputs):
                continue
            sources = tuple(values[tensor.key] for tensor in node.inputs)
            operator = node.operator
            if isinstance(operator, Layer | Function):
                results = [len(made.inputs) + len(made.calls)]
                label = prefix + operator.name
                if isinstance(operator, Layer):
                    label = made.labels.setdefault(operator, _free(label, made.labels))
                made.calls.append(Call(operator, label, sources, results[0], node.outputs[0].row))
            else:
                results = operator.graph()._flatten(made, sources, f"{prefix}{operator.name}/")
            values |= {tensor.key: number for tensor, number in zip(node.outputs, results, strict=True)}
        made.losses.extend(values[tensor.key] for tensor in self.losses)
        return [values[tensor.key] for tensor in self.outputs]


def _free(label: str, taken: Mapping[Layer, str]) -> str:
    """A label that no other layer has."""
    others, number, found = set(taken.values()), 0, label
    while found in others:
        number += 1
        found = f"{label}_{number}"
    return found


def lower(flat: Flat, builder: Lowering, rules: Rules, inputs: Sequence[Value] = ()) -> tuple[list[Value], list[Value]]:
    """Adds the instructions of a graph to a plan; gives the values of its outputs, and those added to the loss.

    Args:
        inputs: what the graph reads, unless it is the plan's inputs.
    """
    values = dict(zip(flat.inputs, inputs or builder.inputs, strict=True))
    for call in flat.calls:
        sources = [values[number] for number in call.sources]
        builder.label = call.label
        if isinstance(call.operator, Layer):
            call.operator.lower_values(builder, sources, rules)
        else:
            call.operator.lower_values(builder, sources)
        values[call.result] = builder.value
        builder.next_layer()
    return [values[number] for number in flat.outputs], [values[number] for number in flat.losses]


def input_layer(tensor: Tensor) -> InputLayer | None:
    """The `Input` that a tensor comes from."""
    operator = tensor.node.operator
    return operator if isinstance(operator, InputLayer) else None


__all__ = ["Call", "Flat", "Graph", "input_layer", "lower"]
