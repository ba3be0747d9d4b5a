"""`Sequential`: a stack of layers that trains, scores, predicts, and is saved."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import compiling, saving, summaries, training
from .backends.protocol import Data
from .compiling import Recipe
from .declaration import refuse
from .errors import ArgumentError, ModelAdvice
from .stack import Stack

if TYPE_CHECKING:
    from .callbacks import History
    from .losses import Loss
    from .optimizers import Optimizer

Array = npt.NDArray[Any]


class Sequential(Stack):
    """A stack of layers, each fed by the one before.

    Args:
        layers: an `Input` and layers, or layers alone: then the first X fixes the input shape.
        trainable: whether training changes weights at all. name: what `summary` calls it.

    Raises:
        ArgumentError: layers that do not fit. ArgumentTypeError: what is not a layer.
    """

    _unsupported: ClassVar[dict[str, dict[str, Any]]] = {
        "compile": {"loss_weights": None, "weighted_metrics": None, "auto_scale_loss": True},
        "fit": {"steps_per_epoch": None, "validation_steps": None},
        "evaluate": {"steps": None},
        "predict": {"steps": None},
    }

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(layers, trainable, name)
        self.stop_training = False
        self.history: History | None = None

    # compiling

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        *,
        backend: Any = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Says how to train; weights stay as they are.

        Args:
            optimizer: a name or an `optimizers.Optimizer`.
            loss: a name or a `losses.Loss`; None for a model that only predicts.
            metrics: a name, a metric, or a list of them.
            backend: "auto", "numba", "c", "cuda" or "reference".
            run_eagerly, steps_per_execution, jit_compile: accepted, without effect.

        Raises:
            ArgumentError, ArgumentTypeError: an unknown, unsupported or ill-fitting argument.
            BackendError: a backend that is not available.
        """
        known = ("optimizer", "loss", "metrics", "backend", *self._unsupported["compile"])
        refuse("compile", kwargs, self._unsupported["compile"], known)
        recipe = compiling.recipe(optimizer, loss, metrics, backend)
        old = self._engine
        if not recipe.optimizer.bound_to(old.state if old is not None else None):
            raise ArgumentError(
                "compile: this optimizer trains another model already; give each model its own, for example "
                "type(optimizer).from_config(optimizer.get_config())"
            )
        if self.built:
            again = self._recipe is not None and self._recipe.optimizer is recipe.optimizer
            engine = self._new_engine(recipe)
            if old is None:
                self._initialize(engine)
            else:
                compiling.carry_over(old, engine, optimizer=again)
            recipe.optimizer.bind(engine.state)
            self._engine = engine
        self._recipe = recipe
        self._advise(recipe)

    def _advise(self, recipe: Recipe) -> None:
        from .advice import advice

        if recipe.loss is None:
            return
        for text in advice(self._layers, recipe.loss, recipe.metrics):
            warnings.warn(text, ModelAdvice, stacklevel=3)

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._recipe is not None

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer, a view of its state: `model.optimizer.learning_rate = x` takes effect at the next step."""
        return self._recipe.optimizer if self._recipe else None

    @property
    def loss(self) -> Loss | None:
        """The loss."""
        return self._recipe.loss if self._recipe else None

    @property
    def metrics_names(self) -> list[str]:
        """The keys of the logs, as `evaluate` orders them."""
        return ["loss", *(metric.name for metric in self._recipe.metrics)] if self._recipe else []

    @property
    def backend(self) -> str | None:
        """The name of the backend."""
        return self._recipe.backend.name if self._recipe else None

    # training and using

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        **kwargs: Any,
    ) -> History:
        """Trains for `epochs - initial_epoch` epochs.

        Args:
            x: (n, I), any real dtype. y: (n,) or (n, O) targets, or class numbers.
            batch_size: rows a step (32); the last step may have fewer.
            epochs, initial_epoch: the number of the last epoch and of the first, from 0.
            verbose: 0 silent, 1 a live line on a terminal, 2 a line an epoch; "auto" is 1.
            callbacks: a `callbacks.Callback` or a list of them.
            validation_split: the share of rows, from the end, that validate.
            validation_data: (x, y) or (x, y, sample_weight), instead.
            shuffle: whether each epoch has an order of its own, by the model's seed.
            class_weight: {class: weight}. sample_weight: (n,).
            validation_batch_size, validation_freq: how large batches and how often.

        Returns:
            The `callbacks.History`: the results of each epoch.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be trained on, before the first step.
            NotBuiltError: not compiled.
        """
        if kwargs:
            known = ("batch_size", "epochs", "verbose", "callbacks", "validation_split", "sample_weight")
            refuse("fit", kwargs, self._unsupported["fit"], known)
        return training.fit(
            self,
            x,
            y,
            batch_size,
            epochs,
            verbose,
            callbacks,
            validation_split,
            validation_data,
            shuffle,
            class_weight,
            sample_weight,
            initial_epoch,
            validation_batch_size,
            validation_freq,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The loss and metrics in inference mode.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as for `fit`.
            return_dict: whether the result is a dict.

        Returns:
            The loss, a list of the loss and the metrics if there are any, or a dict.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be scored. NotBuiltError: not compiled.
        """
        if kwargs:
            refuse("evaluate", kwargs, self._unsupported["evaluate"], ("batch_size", "verbose", "sample_weight"))
        logs = training.evaluate(self, x, y, batch_size, verbose, sample_weight, callbacks)
        return _result(logs, return_dict)

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: Any = "auto", callbacks: Any = None, **kwargs: Any
    ) -> Array:
        """Predictions, the same for a row whatever rows are beside it.

        Args:
            x: (n, I), any real dtype. batch_size: rows between two callbacks. verbose, callbacks: as for `fit`.

        Returns:
            (n, O) of the model's dtype.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be predicted for.
        """
        if kwargs:
            refuse("predict", kwargs, self._unsupported["predict"], ("batch_size", "verbose", "callbacks"))
        return training.predict(self, x, batch_size, verbose, callbacks)

    def predict_on_batch(self, x: Any) -> Array:
        """Predictions (n, O) of the rows of x (n, I), without progress and callbacks."""
        engine = self._engine or self.predicting_engine(x)
        X = engine.checks.X(x, finite=False)
        out = np.empty((X.shape[0], engine.plan.outputs), engine.plan.dtype)
        engine.program.forward(X, out)
        return out

    def __call__(self, x: Any, training: bool = False) -> Array:
        """`predict_on_batch(x)`."""
        refuse("Sequential", {"training": training}, {"training": False}, ("x",))
        return self.predict_on_batch(x)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step on all rows of x; the results are of this batch, before the step.

        Args:
            x, y, sample_weight, class_weight: as for `fit`. return_dict: whether the result is a dict.

        Returns:
            The loss, a list of the loss and the metrics if there are any, or a dict.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be trained on. NotBuiltError: not compiled.
        """
        return self._on_batch(x, y, sample_weight, class_weight, return_dict, train=True)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch in inference mode; see `train_on_batch`."""
        return self._on_batch(x, y, sample_weight, None, return_dict, train=False)

    def _on_batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool, train: bool) -> Any:
        engine = self.trainable_engine(x)
        rows = training.rows_of(engine, x, y, sample_weight, class_weight)
        sums = engine.scores.sums()
        data = Data(rows.X, rows.y, rows.w, None, rows.X.shape[0])
        (engine.program.run_steps if train else engine.program.score)(data, 0, 1, sums)
        return _result(engine.scores.logs(sums), return_dict)

    # files and texts

    def summary(self, print_fn: Callable[[str], Any] | None = None, **kwargs: Any) -> None:
        """Prints the layers, their output shapes and parameters.

        Args:
            print_fn: called with the text instead of `print`.
        """
        defaults = {"line_length": None, "positions": None, "expand_nested": False, "show_trainable": False}
        refuse("summary", kwargs, defaults | {"layer_range": None}, ("print_fn",))
        (print_fn or print)(summaries.text(self.name, self._layers, self._shapes))

    def get_config(self) -> dict[str, Any]:
        """Name, input shape and layers, without weights."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": list(self._shapes[0]) if self._shapes else None,
            "layers": [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self._layers],
        }

    @classmethod
    def from_config(cls, config: Any) -> Sequential:
        """A model of the layers of `get_config()`, with new weights."""
        return saving.model_from_config(cls, config)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes the model to a safetensors file, all or nothing: weights, optimizer, counters, seed, architecture.

        Raises:
            ArgumentError: the file is there and `overwrite` is False. NotBuiltError: the input shape is not known.
            OSError: it cannot be written.
        """
        saving.save(self, filepath, overwrite)


def load_model(filepath: str | os.PathLike[str], *, compile: bool = True, backend: Any = "auto") -> Sequential:
    """A model from a file that `Sequential.save` wrote, as it was: weights, optimizer, counters and seed.

    Args:
        filepath: the file.
        compile: whether to compile it as it was compiled; without, it can only predict.
        backend: see `Sequential.compile`.

    Returns:
        The model.

    Raises:
        FileError: not such a file, or a damaged one. OSError: it cannot be read.
    """
    return saving.load(Sequential, filepath, compile, backend)


def _result(logs: dict[str, float], return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]


__all__ = ["Sequential", "load_model"]
