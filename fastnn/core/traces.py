"""What a `call` did with symbolic tensors, in training and in inference, and what it is in both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..errors import ArgumentError, BusyError
from . import forks
from .function_table import BY_MODE, Function
from .symbolic import Operand, Tensor, call, traced

# Held by whoever makes calls on tensors of them, shapes or engines: models share layers, so one lock serves all.
building = forks.lock(forks.Rank.BUILDING)
_built: list[object] = []  # what the thread that holds it builds, one inside the other


@contextmanager
def built_once(owner: Any) -> Iterator[None]:
    """Builds a layer or a model inside, which neither another thread nor a signal handler does meanwhile.

    Raises:
        BusyError: this thread builds it already.
    """
    with building:
        if any(one is owner for one in _built):
            raise BusyError(
                f'{type(owner).__name__} "{owner.name}": this thread is in the middle of building it, which a signal '
                "handler interrupted, or its own code calls; have the handler set a flag, and a callback look at it"
            )
        _built.append(owner)
        try:
            yield
        finally:
            _built.pop()


class Made(NamedTuple):
    """What a `call` made in one mode: a structure of tensors, all of these, and what it added to the loss."""

    result: Any
    tensors: Sequence[Tensor]
    losses: Sequence[Tensor]


def in_both_modes(where: str, make: Callable[[bool], Made], inputs: Sequence[Operand], known: Sequence[Any]) -> Made:
    """What a `call` makes: that of training, if it does the same in inference; else what is the one in training and the
    other otherwise.

    Args:
        make: calls it in a mode. known: layers and models that are themselves; others, which a `call` made, are those
            of their configuration.

    Raises:
        ArgumentError: it returns other structures or shapes.
    """
    made = []
    for training in (True, False):
        with traced(training):
            made.append(make(training))
    if len({trace(inputs, [*one.tensors, *one.losses], known) for one in made}) == 1:
        return made[0]
    structures = [str(_structure(one.result)) for one in made]
    if structures[0] != structures[1]:
        raise ArgumentError(
            f"{where}: call returns {structures[0]} with training=True and {structures[1]} otherwise; both modes give "
            "the same structure of the same shapes: make a Model of the other outputs, which shares the layers"
        )
    return Made(_either(*(with_losses(one.result, one.losses) for one in made)), (), ())


def with_losses(result: Any, losses: Sequence[Tensor]) -> Any:
    """What `call` returned, from which the losses can be reached that it added."""
    if not losses:
        return result
    several = list(result.values()) if isinstance(result, dict) else result
    first = several[0] if isinstance(several, list | tuple) else result
    holder = call("identity", first)  # what is returned may have been made elsewhere
    holder.node.losses = tuple(losses)
    if isinstance(result, dict):
        return dict(zip(result, (holder, *several[1:]), strict=True))
    return holder if first is result else type(result)((holder, *several[1:]))


def _structure(result: Any) -> Any:
    """The shapes of tensors in the lists and dicts that they are in."""
    if isinstance(result, Mapping):
        return {key: _structure(result[key]) for key in sorted(result)}
    return [_structure(one) for one in result] if isinstance(result, list | tuple) else result.shape


def _either(training: Any, inference: Any) -> Any:
    """Tensors of two structures that are one in training and the other otherwise."""
    if isinstance(training, Mapping):
        return {key: _either(one, inference[key]) for key, one in training.items()}
    if isinstance(training, list | tuple):
        return type(training)(_either(*pair) for pair in zip(training, inference, strict=True))
    return training if training is inference else call(BY_MODE, training, inference)


def trace(inputs: Sequence[Operand], outputs: Sequence[Operand], known: Sequence[Any]) -> tuple[object, ...]:
    """What leads from tensors to others: each operator with its arguments and the calls that it reads, but for layers
    that only act in training."""
    same = {id(operator) for operator in known}
    numbers = {operand.tensor.key: -1 - number for number, operand in enumerate(inputs)}
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
        what: object = id(operator)
        if isinstance(operator, Function):
            what = repr(operator.arguments)
        elif what not in same:
            what = repr(operator.get_config())
        calls.append((operator.name, what, read, tensor.index))
    return (*calls, *(numbers[operand.tensor.key] for operand in outputs))
