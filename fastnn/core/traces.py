"""What a `call` did with symbolic tensors, and whether it does the same in training and in inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import ArgumentError
from .function_table import Function
from .symbolic import Operand


class Trace(NamedTuple):
    """What a `call` did: the names of its operators, and each with its arguments and the calls that it reads."""

    names: tuple[str, ...]
    calls: tuple[object, ...]


def trace(inputs: Sequence[Operand], outputs: Sequence[Operand], known: Sequence[Any]) -> Trace:
    """What leads from tensors to others, but for layers that only act in training.

    Args:
        known: layers and models that are themselves; others, which a `call` made, are those of their name.
    """
    same = {id(operator) for operator in known}
    numbers = {operand.tensor.key: -1 - number for number, operand in enumerate(inputs)}
    names: list[str] = []
    calls: list[object] = []
    stack = [operand.tensor for operand in reversed(outputs)]
    while stack:  # a deep network would be too much for recursion
        tensor = stack.pop()
        if tensor.key in numbers:
            continue
        operator = tensor.node.operator
        if missing := [read for read in tensor.node.inputs if read.key not in numbers]:
            stack += [tensor, *reversed(missing)]
            continue
        read = tuple(numbers[one.key] for one in tensor.node.inputs)
        if getattr(operator, "only_trains", False):
            numbers[tensor.key] = read[0]
            continue
        numbers[tensor.key] = len(calls)
        names.append(operator.name)
        what = (
            repr(operator.arguments) if isinstance(operator, Function) else id(operator) if id(operator) in same else 0
        )
        calls.append((operator.name, what, read, tensor.index))
    return Trace(tuple(names), (*calls, *(numbers[operand.tensor.key] for operand in outputs)))


def same_in_both_modes(where: str, training: Trace, inference: Trace) -> None:
    """Refuses a `call` whose two traces differ by more than what does nothing in inference.

    Raises:
        ArgumentError: they do.
    """
    if training.calls == inference.calls:
        return
    only = [name for name in training.names if name not in inference.names] or training.names
    other = [name for name in inference.names if name not in training.names] or inference.names
    detail = "the same calls of other values" if training.names == inference.names else ", ".join(other) or "nothing"
    raise ArgumentError(
        f"{where}: call makes {', '.join(only) or 'nothing'} with training=True and {detail} "
        "otherwise; a compiled model has one graph, in which Dropout and BatchNormalization know the mode "
        "themselves: make a Model of the other outputs, which shares the layers"
    )
