"""BatchNormalization and LayerNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Unpack

from .. import initializers, regularizers
from ..core.arrays import Array
from ..core.declaration import flag, number
from ..core.lowering import Lowering
from ..core.specs import ParameterSpec
from ..core.symbolic import Tensor
from ..core.types import LayerArguments
from ..errors import ArgumentError
from ..initializers import InitializerLike
from ..regularizers import RegularizerLike
from .bound import Weight
from .layer import Layer, Rules, Shape
from .shapes import last_axis, one_dimension


class _Scaled(Layer):
    """What both have: a scale gamma and an offset beta for each feature, each of which can be left out."""

    unsupported: ClassVar[dict[str, object]] = {"beta_constraint": None, "gamma_constraint": None}

    def __init__(
        self,
        axis: int | Sequence[int],
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: InitializerLike | None,
        gamma_initializer: InitializerLike | None,
        beta_regularizer: RegularizerLike | None,
        gamma_regularizer: RegularizerLike | None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        where = type(self).__name__
        self.axis = last_axis(where, axis)
        self.epsilon = number(where, "epsilon", epsilon, 0.0)
        self.center = flag(where, "center", center)
        self.scale = flag(where, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)

    def output_shape(self, shape: Shape, where: str) -> Shape:
        """(I,), as it comes in."""
        return (one_dimension(where, shape),)

    def parameters(self) -> list[Weight]:
        """gamma (I,) and beta (I,), those that there are."""
        gamma = [Weight("gamma", self.gamma_initializer)] if self.scale else []
        return [*gamma, Weight("beta", self.beta_initializer)] if self.center else gamma

    def _specs(self, rules: Rules) -> tuple[ParameterSpec | None, ParameterSpec | None]:
        """Those of gamma and beta, or None."""
        return (
            self._spec("gamma", self.gamma_regularizer, rules) if self.scale else None,
            self._spec("beta", self.beta_regularizer, rules) if self.center else None,
        )

    @property
    def gamma(self) -> Array | None:
        """The scale (I,), a read-only view, or None."""
        return self._weight("gamma") if self.scale else None

    @property
    def beta(self) -> Array | None:
        """The offset (I,), a read-only view, or None."""
        return self._weight("beta") if self.center else None


class BatchNormalization(_Scaled):
    """Standardizes each feature, in training by the batch's mean and variance, else by their moving averages.

    Math: A = gamma (Z - mean) / sqrt(variance + epsilon) + beta; in training also
    moving = momentum * moving + (1 - momentum) * the batch's, of the mean and of the biased variance.
    Where it is not trainable, it uses the moving averages in training too and leaves them as they are.

    Args:
        axis: -1, or 1: the features.
        momentum: of the moving averages, in [0, 1].
        epsilon: at least 0.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: how they begin.
        beta_regularizer, gamma_regularizer: penalties; without effect where the layer is not trainable.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: an argument out of range, unknown or unsupported.

    Source: S. Ioffe, C. Szegedy, ICML 2015.

    Example:
        >>> import fastnn
        >>> norm = fastnn.layers.BatchNormalization(momentum=0.0)  # remembers the last batch alone
        >>> model = fastnn.Sequential([fastnn.Input((1,)), norm])
        >>> model.compile("sgd", "mse")
        >>> loss = model.train_on_batch([[2.0], [4.0]], [[0.0], [0.0]])
        >>> print(norm.moving_mean, norm.moving_variance)
        [3.] [1.]
    """

    fields = (
        "axis",
        "momentum",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "name",
        "dtype",
        "trainable",
    )
    unsupported: ClassVar[dict[str, object]] = {
        **_Scaled.unsupported,
        "renorm": False,
        "renorm_clipping": None,
        "renorm_momentum": 0.99,
        "synchronized": False,
    }

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike | None = "zeros",
        gamma_initializer: InitializerLike | None = "ones",
        moving_mean_initializer: InitializerLike | None = "zeros",
        moving_variance_initializer: InitializerLike | None = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )
        self.momentum = number("BatchNormalization", "momentum", momentum, 0.0, 1.0)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def parameters(self) -> list[Weight]:
        """gamma, beta, moving_mean and moving_variance, all (I,)."""
        return [
            *super().parameters(),
            Weight("moving_mean", self.moving_mean_initializer, statistic=True),
            Weight("moving_variance", self.moving_variance_initializer, statistic=True),
        ]

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """By the batch in training where it is trainable, else by the moving averages."""
        builder.batch_norm(self.name, self.momentum, self.epsilon, *self._specs(rules), rules.trains(self))

    def same_in(self, training: bool) -> bool:
        """Whether it uses the moving averages, and shall."""
        return not training and not self.trainable

    def in_mode(self, tensors: Sequence[Tensor], training: bool) -> Tensor:
        """By the moving averages where it is not trainable.

        Raises:
            ArgumentError: it is, or it is to be in training mode in predictions.
        """
        if not self.same_in(training):
            raise ArgumentError(
                f'BatchNormalization "{self.name}": training={training} on a tensor is not supported; with '
                "trainable=False it uses the moving averages in training, too"
            )
        return self.symbolic(tensors)

    @property
    def moving_mean(self) -> Array:
        """(I,), a read-only view."""
        return self._weight("moving_mean")

    @property
    def moving_variance(self) -> Array:
        """(I,), a read-only view."""
        return self._weight("moving_variance")


class LayerNormalization(_Scaled):
    """Standardizes each row by its own mean and variance.

    Math: A = gamma (Z - mean) / sqrt(variance + epsilon) + beta, with the mean and biased variance of the row.

    Args:
        axis: -1, or 1: the features.
        epsilon: at least 0.
        center, scale: whether there are beta and gamma.
        beta_initializer, gamma_initializer: how they begin.
        beta_regularizer, gamma_regularizer: penalties; without effect where the layer is not trainable.
        name, dtype, trainable: see `Layer`. input_shape or input_dim: on the first layer, the shape of one row of X.

    Raises:
        ArgumentError: an argument out of range, unknown or unsupported.

    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, arXiv:1607.06450, 2016.

    Example:
        >>> import fastnn, numpy
        >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.LayerNormalization(epsilon=1e-12)])
        >>> print(model.predict(numpy.array([[1.0, 3.0]]), verbose=0))
        [[-1.  1.]]
    """

    fields = (
        "axis",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "name",
        "dtype",
        "trainable",
    )
    unsupported: ClassVar[dict[str, object]] = {**_Scaled.unsupported, "rms_scaling": False}

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike | None = "zeros",
        gamma_initializer: InitializerLike | None = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **kwargs,
        )

    def lower(self, builder: Lowering, rules: Rules) -> None:
        """Row by row, the same in training and inference."""
        builder.layer_norm(self.name, self.epsilon, *self._specs(rules))
