"""`Model`: a graph of layers between inputs and outputs, or a subclass whose `call` makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.declaration import Config
from ..core.symbolic import Tensor
from ..errors import ArgumentError, ArgumentTypeError
from ..layers import Layer
from . import cloning
from .graph import Graph
from .network import Network
from .trainer import Trainer


class Model(Trainer):
    """Layers between inputs and outputs, as they were called.

    Args:
        inputs: a symbolic tensor of `Input`, or a list or a dict of them. outputs: likewise, of what layers gave.
        name: what `summary` calls it. trainable: whether training changes weights at all.

    Attributes:
        stop_training: set by a callback, ends the training after this batch or epoch.
        history: the `callbacks.History` of the last `fit`.
        metadata: notes of your own, JSON values by name, which `save` keeps in the file.

    Raises:
        ArgumentError: outputs that the inputs do not lead to, or two layers of one name.
        ArgumentTypeError: what is no symbolic tensor.
    """

    kind = "Model"

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(trainable, name)
        self._input_keys, given = _listed("inputs", inputs)
        self._output_keys, made = _listed("outputs", outputs)
        self._single_input, self._single = isinstance(inputs, Tensor), isinstance(outputs, Tensor)
        self._graph = Graph(given, made)
        self._operators: list[Any] = []
        for operator in self._graph.operators:
            self._adopt(operator, self._operators)
            self._operators.append(operator)
        self._same_dtype(self.leaves())

    @property
    def operators(self) -> list[Any]:
        """Layers, models and functions, in order."""
        return list(self._operators)

    def graph(self) -> Graph:
        """The calls between inputs and outputs."""
        return self._graph

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called in logs: their keys, or the names of their layers."""
        return list(self._output_keys) if self._output_keys else super().output_names

    def inputs_of(self, x: Any) -> list[Any]:
        """What x has for each input: by name, in order, or of one input all of it.

        Raises:
            ArgumentError: another number, or an input that is missing.
        """
        keys, names = self._input_keys or self.input_names, self.input_names
        if isinstance(x, Mapping) or (len(names) > 1 and hasattr(x, "columns") and hasattr(x, "to_numpy")):
            found = []
            for key, name in zip(keys, names, strict=True):
                if key not in x and name not in x:
                    known = ", ".join(f'"{one}"' for one in keys)
                    raise ArgumentError(f'{self.kind} "{self.name}": x has no "{key}"; the inputs are {known}')
                found.append(x[key] if key in x else x[name])
            return found
        if len(names) == 1:
            return [self.alone(x)]
        if not isinstance(x, list | tuple) or len(x) != len(names):
            came = f"a list of {len(x)}" if isinstance(x, list | tuple) else type(x).__name__
            raise ArgumentError(
                f'{self.kind} "{self.name}": x is {came}, expected one array for each of the inputs '
                f"{', '.join(names)}: a list of {len(names)}, or a dict by name"
            )
        return list(x)

    def structured(self, outputs: Sequence[Any]) -> Any:
        """Outputs as they were given to the model: one, a list or a dict."""
        if self._output_keys:
            return dict(zip(self._output_keys, outputs, strict=True))
        return outputs[0] if self._single else list(outputs)

    def structures(self, structure: Callable[[Any, Any, bool], Any]) -> Config:
        """How inputs and outputs were given, as `structure(tensors, keys, single)` describes them."""
        inputs = structure(self._graph.inputs, self._input_keys, self._single_input)
        return {"inputs": inputs, "outputs": structure(self._graph.outputs, self._output_keys, self._single)}

    def get_config(self) -> Config:
        """Name, layers and calls, without weights."""
        return cloning.graph_config(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Model:
        """A model of the layers of `get_config()`, with new weights."""
        model: Model = cloning.graph_from_config(cls, config)
        return model


def _listed(name: str, given: Any) -> tuple[tuple[str, ...], list[Tensor]]:
    """The keys of a dict, or (), and the tensors."""
    if isinstance(given, Mapping):
        keys, tensors = tuple(given), list(given.values())
    else:
        keys, tensors = (), list(given) if isinstance(given, list | tuple) else [given]
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            hint = "; it has layers, not tensors: call them" if isinstance(tensor, Layer | Network) else ""
            raise ArgumentTypeError(
                f"Model: {name} is of {type(tensor).__name__}, expected symbolic tensors such as Input((64,)){hint}"
            )
    if not tensors:
        raise ArgumentTypeError(f"Model: there are no {name}")
    return keys, tensors


__all__ = ["Model"]
