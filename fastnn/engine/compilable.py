"""Models that are compiled: what they train on, by what, and where."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from .. import backends
from ..core.declaration import refuse
from ..core.traces import building
from ..errors import ArgumentError, ModelAdvice
from ..losses import Loss, LossLike
from ..metrics import Metrics
from ..optimizers import OptimizerLike
from . import compiling
from .compiling import Recipe
from .network import Network

if TYPE_CHECKING:
    from ..backends.protocol import Backend
    from ..metrics import Metric
    from ..optimizers import Optimizer
    from .advice import Seen


class Compilable(Network):
    """A model with the arguments of `compile`."""

    def __init__(self, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable, name)
        self._advised: Collection[str] = ()  # what it was told before its input shape was known
        self._told = False  # that layers have become trainable, or not, since it was compiled

    def compile(
        self,
        optimizer: OptimizerLike = "rmsprop",
        loss: LossLike | Sequence[LossLike | None] | Mapping[str, LossLike | None] | None = None,
        metrics: Metrics | None = None,
        *,
        weighted_metrics: Metrics | None = None,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        backend: str | Backend | None = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | Literal["auto"] = "auto",
        **kwargs: object,
    ) -> None:
        """Says how to train; weights stay as they are.

        Args:
            optimizer: a name or an `optimizers.Optimizer`.
            loss: a name or a `losses.Loss`; None for a model that only predicts. Of several outputs a list or a dict by
                name, or one for all.
            metrics: a name, a metric, or a list of them: means over the rows, whatever their weights. Of several
                outputs a list of lists or a dict by name.
            weighted_metrics: likewise, means weighted by sample_weight or class_weight.
            loss_weights: of several outputs, what each loss is multiplied by in their sum: a list, or a dict by name.
            backend: "auto", "numba", "c", "cuda" or "reference".
            run_eagerly, steps_per_execution, jit_compile: accepted, without effect.

        Raises:
            ArgumentError, ArgumentTypeError: an unknown, unsupported or ill-fitting argument.
            BackendError: a backend that is not available.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(10, "softmax")])
            >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], backend="c")
            >>> model.optimizer.get_config()["beta_1"], model.backend
            (0.9, 'c')
        """
        refuse("compile", kwargs, {"auto_scale_loss": True}, ("optimizer", "loss", "metrics", "weighted_metrics"))
        self._require_no_training("compile")
        chosen = backends.get(backend)
        names = self._names_of_outputs(loss, (metrics, weighted_metrics, loss_weights))
        called = self._names_in_logs() if self.built else None
        recipe = compiling.recipe(optimizer, loss, metrics, chosen, weighted_metrics, names, loss_weights, called)
        self.take(recipe)
        for text in self.advice():
            if text not in self._advised:
                warnings.warn(text, ModelAdvice, stacklevel=2 if type(self).compile is Compilable.compile else 3)

    def take(self, recipe: Recipe) -> None:
        """Is compiled with a recipe from now on, without advice."""
        with building:
            self._take(recipe)

    def _take(self, recipe: Recipe) -> None:
        old = self._engine
        if not recipe.optimizer.bound_to(old.state if old is not None else None):
            raise ArgumentError(
                "compile: this optimizer trains another model already; give each model its own, for example "
                "type(optimizer).from_config(optimizer.get_config())"
            )
        if self.built:
            again = self._recipe is not None and self._recipe.optimizer is recipe.optimizer
            recipe = replace(recipe, trained=self._trained())
            engine = self._new_engine(recipe)
            with engine.state.store.held("compile", writes=True):
                if old is not None:
                    compiling.carry_over(old, engine, again)
                recipe.optimizer.bind(engine.state)
                self._engine, self._recipe = engine, recipe
        self._recipe, self._told = recipe, False
        for layer in self.leaves():
            layer.compiled_trainable = layer.trains

    def _names_of_outputs(self, loss: object, others: Sequence[object]) -> list[str]:
        """What the outputs are called where the arguments of `compile` name them."""
        return self.result_names if self.built else [self.name]

    def _names_in_logs(self) -> Sequence[str | None]:
        """What stands before the results of each output in logs; None where these are called by its loss."""
        return self.output_names

    def advice(self, seen: Mapping[int, Seen] | None = None) -> list[str]:
        """What `advice.advice` says of the model, or of what a training has `seen`."""
        from .advice import advice

        assert self._recipe is not None
        return advice(self.leaves(), self._chains(), self._recipe, seen)

    def _chains(self) -> list[list[Any]]:
        """The layers that lead to each output, one after another, back to where tensors were merged or a model ends."""
        if not self.built:
            return [self._called_layers()] * len(self._recipe.losses) if self._recipe else []
        flat = self.flat_graph()
        makers = {call.result: call for call in flat.calls}
        chains = []
        for output in flat.outputs:
            chain: list[Any] = []
            call = makers.get(output)
            model = call.label.rpartition("/")[0] if call else ""
            while call is not None and call.label.rpartition("/")[0] == model:
                chain.insert(0, call.operator)
                call = makers.get(call.sources[0]) if len(call.sources) == 1 else None
            chains.append(chain)
        return chains

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._recipe is not None

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer, a view of its state: `model.optimizer.learning_rate = x` takes effect at the next step."""
        return self._recipe.optimizer if self._recipe else None

    @property
    def loss(self) -> Loss | list[Loss | None] | None:
        """The loss, or a list of that of each output."""
        losses = self._recipe.losses if self._recipe else (None,)
        return losses[0] if len(losses) == 1 else list(losses)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute; the optimizer and the like are what `compile` was given."""
        if name in ("optimizer", "loss", "metrics"):
            raise AttributeError(f"{type(self).__name__}.{name} cannot be set; give it to compile({name}=...)")
        super().__setattr__(name, value)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that `compile` was given, then the weighted ones."""
        return [entry.metric for entry in self._recipe.entries] if self._recipe else []

    @property
    def metrics_names(self) -> list[str]:
        """What the results are called, in the order in which `evaluate` lists them."""
        return self._recipe.names if self._recipe else []

    @property
    def backend(self) -> str | None:
        """The name of the backend."""
        return self._recipe.backend.name if self._recipe else None

    def _tell_of_trainable(self) -> None:
        """Warns once where layers became trainable, or not, since `compile`, unless another model was compiled so."""
        if self._recipe is None or self._recipe.trained is None or self._told:
            return
        changed = [
            layer.name
            for layer in self.leaves()
            if layer.trains != (layer in self._recipe.trained) and layer.compiled_trainable != layer.trains
        ]
        if changed:
            self._told = True
            warnings.warn(
                f"fit: trainable was changed on {', '.join(changed)} since compile; it takes effect at the next "
                "compile",
                UserWarning,
                stacklevel=3,
            )
