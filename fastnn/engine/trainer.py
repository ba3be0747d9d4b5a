"""What models do: they train, score, predict, and are saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..backends.data import Data
from ..core.arrays import Array
from ..core.declaration import Config, refuse, whole
from ..core.printing import say
from ..core.symbolic import any_tensor, asks_for
from ..core.types import Arrays, ClassWeight, Gradients, Outputs, Predictions, Scores, Tensors, ValidationData, Verbose
from ..errors import ArgumentError
from . import cloning, probes, saving, summaries, training
from .compilable import Compilable
from .requests import BATCH, FitRequest, Request, rows_of
from .slices import run_steps

if TYPE_CHECKING:
    from ..callbacks import Callback, History


class Trainer(Compilable):
    """A model: see `Sequential` and `Model`.

    Attributes:
        stop_training: set by a callback, ends the training after this batch or epoch.
        history: the `callbacks.History` of the last `fit`.
        metadata: notes of your own, JSON values by name, which `save` keeps in the file.
    """

    def __init__(self, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(trainable, name)
        self.stop_training = False
        self.history: History | None = None
        self.metadata: Config = {}

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        if self.history is not None:
            self.history.set_model(self)

    # training and using

    def fit(
        self,
        x: Arrays | None = None,
        y: Arrays | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: ValidationData | None = None,
        shuffle: bool = True,
        class_weight: ClassWeight | None = None,
        sample_weight: Arrays | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
        **kwargs: object,
    ) -> History:
        """Trains for `epochs - initial_epoch` epochs.

        Args:
            x: (n, I), any real dtype; of several inputs a list, or a dict or a data frame by name.
            y: (n,) or (n, O) targets, or class numbers; of several outputs a list, or a dict by name.
            batch_size: rows a step (32); the last step may have fewer.
            epochs, initial_epoch: the number of the last epoch and of the first, from 0.
            verbose: 0 silent; 1 a live line on a terminal or in a notebook, and of 20 epochs or more so many lines that
                they fit a screen; 2 a line an epoch; "auto" is 1.
            callbacks: a `callbacks.Callback` or a list of them.
            validation_split: the share of rows, from the end, that validate.
            validation_data: (x, y) or (x, y, sample_weight), instead.
            shuffle: whether each epoch has an order of its own, by the model's seed.
            class_weight: {class: weight}. sample_weight: (n,).
            steps_per_epoch: None, or what an epoch takes anyway; any other is refused.
            validation_steps: validates on the first so many batches only.
            validation_batch_size, validation_freq: how large batches and how often.

        Returns:
            The `callbacks.History`: the results of each epoch.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be trained on, before the first step.
            NotBuiltError: not compiled.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
            >>> history = model.fit([[1.0], [1.0]], [[1.0], [3.0]], epochs=3, batch_size=2, verbose=0)
            >>> history.history  # both rows pull towards 2, whose loss is 1
            {'loss': [5.0, 1.0, 1.0]}
        """
        if kwargs:
            known = ("batch_size", "epochs", "verbose", "callbacks", "validation_split", "sample_weight")
            refuse("fit", kwargs, {}, known)
        request = FitRequest(
            "fit",
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
        )
        self._tell_of_trainable()
        return training.fit(self, request)

    def evaluate(
        self,
        x: Arrays | None = None,
        y: Arrays | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: Arrays | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
        **kwargs: object,
    ) -> Scores:
        """The loss and metrics in inference mode.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as for `fit`.
            steps: scores the first so many batches only.
            return_dict: whether the result is a dict.

        Returns:
            The loss; a list of the loss and the metrics, as `metrics_names` has them, if there are any; or a dict.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be scored. NotBuiltError: not compiled.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
            >>> model.evaluate([[1.0], [1.0]], [[1.0], [3.0]], verbose=0)  # (1 + 9) / 2
            5.0
            >>> model.evaluate([[1.0], [1.0]], [[1.0], [3.0]], verbose=0, return_dict=True)
            {'loss': 5.0}
        """
        if kwargs:
            refuse("evaluate", kwargs, {}, ("batch_size", "verbose", "sample_weight"))
        logs = training.evaluate(self, Request("evaluate", x, y, batch_size, verbose, callbacks, sample_weight, steps))
        return self.engine().scores.result(logs, return_dict)

    def predict(
        self,
        x: Arrays,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        **kwargs: object,
    ) -> Predictions:
        """Predictions, the same for a row whatever rows are beside it.

        Args:
            x: (n, I), any real dtype. batch_size: rows between two callbacks. verbose, callbacks: as for `fit`.
            steps: predicts for the first so many batches only.

        Returns:
            (n, O) of the model's dtype; of several outputs a list or a dict.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be predicted for.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1, kernel_initializer="ones")])
            >>> print(model.predict([[1.0, 2.0], [3.0, 4.0]], verbose=0))
            [[3.]
             [7.]]
        """
        if kwargs:
            refuse("predict", kwargs, {}, ("batch_size", "verbose", "callbacks"))
        return training.predict(self, Request("predict", x, None, batch_size, verbose, callbacks, steps=steps))

    def predict_on_batch(self, x: Arrays) -> Predictions:
        """Predictions (n, O) of the rows of x (n, I), without progress and callbacks.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1, kernel_initializer="ones")])
            >>> print(model.predict_on_batch([[1.0, 2.0]]))
            [[3.]]
        """
        engine = self._engine
        if engine is None or engine.state.store.moved is not None:
            with self.undone_if_refused():
                engine = self.predicting_engine(x)
                X = engine.checks.X(self.inputs_of(x), finite=False)
        else:
            X = engine.checks.X(self.inputs_of(x), finite=False)
        outs = [np.empty((X[0].shape[0], width), engine.plan.dtype) for width in engine.plan.widths]
        engine.predictor.forward(X, outs)
        return self.structured(engine.shaped(outs))

    def __call__(self, x: Arrays | Tensors, training: bool | None = None) -> Outputs:
        """What comes out for symbolic tensors; of arrays `predict_on_batch(x)`."""
        if any_tensor(x):
            if (mode := asks_for(training)) is not None:
                self._require_one_mode(mode)
            tensors: Any = x
            return self.symbolic(tensors)
        refuse(self.kind, {"training": training or None}, {"training": None}, ("x",))
        return self.predict_on_batch(x)

    def _require_one_mode(self, mode: bool) -> None:
        """Refuses a mode for a call on tensors in which layers would be in another one."""
        if self.flat_graph().inference is not None:
            raise ArgumentError(
                f'{self.kind} "{self.name}": training={mode} on tensors is not supported, since its call is another '
                "one in training; call its layers with training=, or leave it out"
            )
        for layer in self.leaves():
            if not layer.same_in(mode):
                raise ArgumentError(
                    f'{self.kind} "{self.name}": training={mode} on tensors is not supported, since its "{layer.name}" '
                    "is in the mode of the whole model; call its layers with training=, or leave it out"
                )

    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays | None = None,
        sample_weight: Arrays | None = None,
        class_weight: ClassWeight | None = None,
        return_dict: bool = False,
    ) -> Scores:
        """One step on all rows of x; the results are of this batch, before the step.

        Args:
            x, y, sample_weight, class_weight: as for `fit`. return_dict: whether the result is a dict.

        Returns:
            The loss, a list of the loss and the metrics if there are any, or a dict.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be trained on. NotBuiltError: not compiled.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
            >>> [model.train_on_batch([[1.0]], [[2.0]]) for _ in range(3)]  # each before its step
            [4.0, 0.0, 0.0]
        """
        return self._on_batch(x, y, sample_weight, class_weight, return_dict, train=True)

    def test_on_batch(
        self, x: Arrays, y: Arrays | None = None, sample_weight: Arrays | None = None, return_dict: bool = False
    ) -> Scores:
        """The loss and metrics of one batch in inference mode; see `train_on_batch`.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
            >>> model.test_on_batch([[1.0]], [[2.0]]), model.test_on_batch([[1.0]], [[2.0]])  # nothing is learned
            (4.0, 4.0)
        """
        return self._on_batch(x, y, sample_weight, None, return_dict, train=False)

    def _on_batch(
        self, x: Arrays, y: object, sample_weight: object, class_weight: object, return_dict: bool, train: bool
    ) -> Any:
        with self.undone_if_refused():
            engine = self.trainable_engine(x)
            rows = rows_of(self, engine, x, y, sample_weight, class_weight)
        sums = engine.scores.sums()
        data = Data(rows.X, rows.y, rows.w, None, rows.n)
        if train:
            engine.state.store.require_idle("train_on_batch")
            run_steps(self, data, 0, 1, sums)
        else:
            engine.predictor.score(data, 0, 1, sums)
        return engine.scores.result(engine.scores.logs(sums), return_dict)

    def activations(self, x: Arrays) -> dict[str, Array]:
        """What each layer gives for x, in inference mode, by one compiled call.

        Args:
            x: as for `predict`.

        Returns:
            By the layer's name (of a layer in a model "model/layer", of the second call of a shared one "layer#2"), in
            the order of the calls: (n, ...) of the model's dtype.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be predicted for.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(3, "relu"), fastnn.layers.Dense(1)])
            >>> {name: values.shape for name, values in model.activations([[1.0, 2.0], [3.0, 4.0]]).items()}
            {'dense': (2, 3), 'dense_1': (2, 1)}
        """
        return probes.activations(self, x)

    def gradients(
        self,
        x: Arrays,
        y: Arrays | None = None,
        sample_weight: Arrays | None = None,
        *,
        output_gradient: Arrays | None = None,
        inputs: bool = False,
    ) -> Gradients:
        """The gradients of one batch in training mode, by one compiled call; weights stay as they are.

        Dropout is that of the next step, and moving averages move, as in every pass of training.

        Math:
            dL/dw of the mean loss L with its penalties; or of sum(output * output_gradient), without penalties, which
            is what a loss of your own needs: give its gradient by the outputs.

        Args:
            x, y, sample_weight: one batch, as for `fit`.
            output_gradient: instead of y, an array of the shape of the predictions; of several outputs a list or a dict
                by name, where None is zeros. The model need not be compiled for it.
            inputs: whether the gradient by x is asked for, too.

        Returns:
            By weight, "layer/kernel" and so on: copies, of what is trained. With `inputs` a pair of that and dX, an
            array like x, or a list of one for each input; that of class numbers is 0.

        Raises:
            ArgumentError, ArgumentTypeError: what cannot be trained on. NotBuiltError: y and no `compile`.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
            >>> model.gradients([[1.0]], [[2.0]])  # of (w x + b - 2)^2 at 0
            {'dense/kernel': array([[-4.]], dtype=float32), 'dense/bias': array([-4.], dtype=float32)}
        """
        return probes.gradients(self, x, y, sample_weight, output_gradient, inputs)

    def apply_gradients(self, gradients: Mapping[str, ArrayLike]) -> None:
        """One step of the optimizer by gradients, which `gradients()` gave or anything else made.

        Args:
            gradients: by weight, an array for each that is trained.

        Raises:
            ArgumentError, ArgumentTypeError: weights that are missing or not known, another shape, no real numbers.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(fastnn.optimizers.SGD(0.25), "mse")
            >>> gradients = model.gradients([[1.0]], [[2.0]])
            >>> model.apply_gradients({name: gradient / 2 for name, gradient in gradients.items()})
            >>> print(model.get_weights()[0])  # 0.25 4 / 2
            [[0.5]]
        """
        probes.apply_gradients(self, gradients)

    # files and texts

    def get_config(self) -> Config:
        """What makes an equal model, without weights."""
        raise NotImplementedError

    def summary(
        self, print_fn: Callable[[str], object] | None = None, *, costs: bool | int = False, **kwargs: object
    ) -> None:
        """Prints the layers, their output shapes and parameters.

        Args:
            print_fn: called with the text instead of `print`.
            costs: whether to tell the flops and bytes of a batch of 32 rows, or of so many, forward and backward, and
                what a gradient costs.

        Example:
            >>> import fastnn
            >>> model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(32), fastnn.layers.Dense(10)])
            >>> model.summary()
            Model "sequential"
            -----------------------------------------
            Layer (type)     Output shape  Parameters
            -----------------------------------------
            dense (Dense)    (None, 32)         2,080
            dense_1 (Dense)  (None, 10)           330
            -----------------------------------------
            Total params: 2,410 (9.4 KiB)
            Trainable params: 2,410 (9.4 KiB)
            Non-trainable params: 0 (0 B)
        """
        defaults = {"line_length": None, "positions": None, "expand_nested": False, "show_trainable": False}
        refuse("summary", kwargs, defaults | {"layer_range": None}, ("print_fn",))
        batch = BATCH if costs is True else whole("summary", "costs", int(costs), 0)
        if batch:
            self._require_built("summary")
        (print_fn or say)(summaries.text(self, batch))

    def to_json(self, **kwargs: object) -> str:
        """The architecture as JSON, for `models.model_from_json`; weights and the arguments of `compile` are not in it.

        Args:
            kwargs: of `json.dumps`, such as indent=2.

        Example:
            >>> import fastnn
            >>> text = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(2)]).to_json()
            >>> fastnn.models.model_from_json(text).count_params()
            10
        """
        return cloning.to_json(self, **kwargs)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: object) -> None:
        """Writes the model to a safetensors file, all or nothing, whatever happens meanwhile.

        In it are weights, architecture, arguments of `compile`, the optimizer's state, counters, seed and `metadata`: a
        training goes on from it as if it had never stopped, to the bit.

        Args:
            filepath: the file; its name may end in anything.
            overwrite: whether a file that is there is replaced.

        Raises:
            ArgumentError: the file is there and `overwrite` is False. ArgumentTypeError: `metadata` that is no JSON.
            NotBuiltError: the input shape is not known. OSError: it cannot be written.

        Example:
            >>> import fastnn, pathlib, tempfile
            >>> model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save(pathlib.Path(folder) / "model.safetensors")
            ...     again = fastnn.load_model(pathlib.Path(folder) / "model.safetensors")
            ...
            >>> bool((again.predict([[1.0] * 4], verbose=0) == model.predict([[1.0] * 4], verbose=0)).all())
            True
        """
        refuse("save", kwargs, {"zipped": None, "include_optimizer": True}, ("filepath", "overwrite"))
        saving.save(self, filepath, overwrite)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Writes what the model has learned, without its architecture, for `load_weights`.

        Args:
            filepath: the file; its name may end in anything.
            overwrite: whether a file that is there is replaced.

        Raises:
            ArgumentError: the file is there and `overwrite` is False.
            NotBuiltError: the input shape is not known. OSError: it cannot be written.

        Example:
            >>> import fastnn, pathlib, tempfile
            >>> one, other = (fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)]) for _ in range(2))
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     one.save_weights(pathlib.Path(folder) / "learned.safetensors")
            ...     other.load_weights(pathlib.Path(folder) / "learned.safetensors")
            ...
            >>> bool((one.get_weights()[0] == other.get_weights()[0]).all())
            True
        """
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False, **kwargs: object) -> None:
        """Takes the weights of a file that `save_weights` or `save` wrote; layers correspond by their order.

        A model compiled with the same optimizer takes its state too, the counters and the seed, and so goes on as the
        one that was saved.

        Args:
            filepath: the file. skip_mismatch: only False.

        Raises:
            FileError: not such a file, a damaged one, or one of other layers; the model is unchanged then.
            NotBuiltError: the input shape is not known. OSError: it cannot be read.
        """
        given = {"skip_mismatch": skip_mismatch, **kwargs}
        refuse("load_weights", given, {"skip_mismatch": False, "by_name": False}, ("filepath",))
        saving.load_weights(self, filepath)
