"""A function of symbolic tensors as a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn, Unpack

from ..core.declaration import refuse
from ..core.types import Arguments, LayerArguments, Outputs, Sizes, Tensors
from ..errors import ArgumentError, ArgumentTypeError
from .layer import Layer


class Lambda(Layer):
    """What a function makes of symbolic tensors, by layers without weights, arithmetic and `fastnn.ops`.

    It is called once for each call of the layer, on symbolic tensors. No file holds Python code: of a graph what the
    function does is saved, and a `Sequential` with the layer is refused.

    Args:
        function: of a tensor, or of what else the layer is called on.
        output_shape: accepted, without effect, since the function is traced. mask: only None.
        arguments: more arguments of the function, by name.
        name, dtype, trainable: see `Layer`.

    Raises:
        ArgumentError: an unknown or an unsupported argument. ArgumentTypeError: no function, or no dict.

    Example:
        >>> import fastnn
        >>> square = fastnn.layers.Lambda(lambda x, by: by * x**2, arguments={"by": 2.0})
        >>> print(fastnn.Sequential([fastnn.Input((2,)), square]).predict([[1.0, 3.0]], verbose=0))
        [[ 2. 18.]]
    """

    def __init__(
        self,
        function: Callable[..., Outputs],
        output_shape: Sizes | Callable[..., Sizes] | None = None,
        mask: None = None,
        arguments: Arguments | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        refuse("Lambda", {"mask": mask}, {"mask": None}, ())
        if not callable(function):
            raise ArgumentTypeError(f"Lambda: function is {function!r}, expected a function of a symbolic tensor")
        if arguments is not None and not isinstance(arguments, Mapping):
            raise ArgumentTypeError(f"Lambda: arguments is {arguments!r}, expected a dict of names and values")
        self.function, self.arguments = function, dict(arguments or {})

    def call(self, x: Tensors) -> Outputs:
        """What the function makes."""
        return self.function(x, **self.arguments)

    def get_config(self) -> NoReturn:
        """It has none.

        Raises:
            ArgumentError: always.
        """
        raise ArgumentError(
            f'Lambda "{self.name}": no config or file holds a function; make the model by fastnn.Model(inputs, '
            "outputs), whose file has what the function does, or write a subclass of Layer with `call`"
        )
