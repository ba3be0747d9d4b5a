"""What a Keras script takes for granted and no other test shows: import paths, defaults, and what is silent."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
import tracemalloc
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, optimizers
from nets import Array, blobs, classifier, every_backend, net, wave
from support import load

SPARSE = "sparse_categorical_crossentropy"

PATHS = {
    "fastnn": "Sequential Input layers models optimizers losses metrics callbacks utils backend config datasets",
    "fastnn.models": "Sequential load_model clone_model model_from_json",
    "fastnn.layers": "Input InputLayer Dense Activation Dropout Flatten Reshape Rescaling Normalization ReLU LeakyReLU"
    " ELU Softmax BatchNormalization LayerNormalization",
    "fastnn.optimizers": "SGD RMSprop Adagrad Adadelta Adam AdamW Adamax Nadam Lion Ftrl schedules get serialize"
    " deserialize",
    "fastnn.optimizers.schedules": "ExponentialDecay PiecewiseConstantDecay CosineDecay PolynomialDecay"
    " InverseTimeDecay LearningRateSchedule",
    "fastnn.losses": "MeanSquaredError MeanAbsoluteError Huber BinaryCrossentropy CategoricalCrossentropy KLDivergence"
    " SparseCategoricalCrossentropy Lp mean_squared_error binary_crossentropy mse mae get",
    "fastnn.metrics": "Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy MeanSquaredError"
    " MeanAbsoluteError RootMeanSquaredError R2Score BinaryCrossentropy KLDivergence get",
    "fastnn.callbacks": "Callback History EarlyStopping ReduceLROnPlateau LearningRateScheduler ModelCheckpoint"
    " CSVLogger TerminateOnNaN LambdaCallback",
    "fastnn.initializers": "Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal GlorotUniform GlorotNormal"
    " HeUniform HeNormal LecunUniform LecunNormal VarianceScaling",
    "fastnn.regularizers": "L1 L2 L1L2 l1 l2 l1_l2",
    "fastnn.activations": "linear relu leaky_relu elu selu sigmoid tanh softplus silu swish gelu softmax get",
    "fastnn.utils": "to_categorical set_random_seed normalize",
    "fastnn.datasets": "mnist fashion_mnist load_digits",
    "fastnn.datasets.mnist": "load_data",
    "fastnn.config": "floatx set_floatx",
    "fastnn.backend": "clear_session",
}


@pytest.mark.parametrize("path", PATHS)
def test_import_paths(path: str) -> None:
    """`from keras.layers import Dense`, `import keras.layers`, `keras.layers.Dense`."""
    module = importlib.import_module(path)
    for name in PATHS[path].split():
        assert getattr(module, name) is not None, name
    code = f"from {path} import {', '.join(PATHS[path].split())}"
    exec(code, {})


# building and compiling


def test_defaults_of_dense() -> None:
    """The kernel is uniform within sqrt(6 / (in + out)), the bias 0; W is (in, out)."""
    model = net(layers.Dense(200), features=300)
    kernel, bias = model.get_weights()
    assert kernel.shape == (300, 200) and bias.shape == (200,) and not bias.any()
    bound = math.sqrt(6 / 500)
    assert 0.99 * bound < np.abs(kernel).max() <= bound and abs(kernel.std() - bound / math.sqrt(3)) < 0.01 * bound


def test_defaults_of_penalties() -> None:
    for name, kernel, expected in (("l1", -3.0, 0.03), ("l2", -3.0, 0.09)):
        model = net(layers.Dense(1, kernel_regularizer=name, dtype="float64"), features=1)
        model.set_weights([[[kernel]], [0.0]])
        assert model.evaluate([[0.0]], [0.0], verbose=0) == pytest.approx(expected, rel=1e-14)


@every_backend
def test_layers_without_weights_take_the_models_dtype(backend: str) -> None:
    stack = (layers.Rescaling(0.5), layers.Dense(3, dtype="float64"), layers.ReLU(), layers.Dropout(0.5))
    model = net(*stack, backend=backend)
    X = wave(5, 4)
    W, b = model.get_weights()
    out = model.predict(X, verbose=0)
    assert model.dtype == "float64" == out.dtype
    np.testing.assert_allclose(out, np.maximum(X * 0.5 @ W + b, 0), rtol=1e-14)


@every_backend
def test_arguments_that_change_nothing(backend: str) -> None:
    X, y = blobs()
    plain, told = classifier(backend), classifier(backend)
    again: dict[str, Any] = {"run_eagerly": True, "jit_compile": True, "steps_per_execution": 8}
    told.compile("adam", SPARSE, backend=load(backend), auto_scale_loss=True, loss_weights=None, **again)
    a, b = (model.fit(X, y, epochs=2, verbose=0).history for model in (plain, told))
    assert a == b


# losses


@every_backend
def test_history_is_of_the_training_mode(backend: str) -> None:
    """The loss of an epoch has dropout and penalties in it, and is the mean over rows of unequal batches."""
    stack = (layers.Dropout(0.5), layers.Dense(1, kernel_regularizer="l2", dtype="float64"))
    model = net(*stack, optimizer=optimizers.SGD(0.0), backend=backend)
    model.set_weights([np.full((4, 1), 2.0), [0.0]])
    X, penalty = np.ones((4000, 4)), 0.01 * 16
    # Four terms, each 0 or 4 with even chance: mean 8, variance 16.
    loss = model.fit(X, np.full(4000, 8.0), batch_size=3000, verbose=0).history["loss"][0]
    assert loss == pytest.approx(16 + penalty, rel=0.05)
    assert model.evaluate(X[:9], np.full(9, 8.0), verbose=0) == pytest.approx(penalty, rel=1e-12)


@every_backend
def test_probabilities_from_elsewhere_are_clipped(backend: str) -> None:
    """As Keras: the wrong class at probability 0 costs -log(1e-7); rows are divided by their sum before."""
    told: dict[str, Any] = {"features": 2, "backend": backend}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastnn.ModelAdvice)  # no softmax: that is the case
        model = net(layers.Activation("linear", dtype="float64"), loss=SPARSE, **told)
    most = -math.log(1e-7)
    assert (
        model.evaluate([[1.0, 0.0]], [1], verbose=0) == pytest.approx(most, rel=1e-7) == pytest.approx(16.118, rel=1e-4)
    )
    assert model.evaluate([[3.0, 1.0]], [1], verbose=0) == pytest.approx(math.log(4), rel=1e-12)
    kl = net(layers.Activation("linear", dtype="float64"), loss="kl_divergence", **told)
    assert kl.evaluate([[1.0, 0.0]], [[0.0, 1.0]], verbose=0) == pytest.approx(most - 1e-7 * most, rel=1e-12)


@every_backend
def test_fused_crossentropy_is_exact(backend: str) -> None:
    """Behind a softmax or sigmoid of the model nothing is clipped: a gap of 30 costs 30, and has a gradient."""
    model = net(layers.Dense(2, "softmax", dtype="float64"), features=2, loss=SPARSE, backend=backend)
    model.set_weights([30.0 * np.eye(2), np.zeros(2)])
    assert model.train_on_batch([[1.0, 0.0]], [1]) == pytest.approx(30.0, rel=1e-12)
    np.testing.assert_allclose(model.get_weights()[1], [-0.01, 0.01], rtol=1e-9)


@every_backend
@pytest.mark.parametrize(("activation", "units"), [("softmax", 3), ("sigmoid", 1)])
def test_probabilities_that_are_said_to_be_logits(activation: str, units: int, backend: str) -> None:
    """Advised against, and the logits are used once."""
    X, y = blobs(classes=max(units, 2))
    plain = (losses.SparseCategoricalCrossentropy, losses.BinaryCrossentropy)[units == 1]
    right = net(layers.Dense(units, activation), loss=plain(), backend=backend)
    with pytest.warns(fastnn.ModelAdvice, match="are not logits"):
        same = net(layers.Dense(units, activation), loss=plain(from_logits=True), backend=backend)
    assert right.fit(X, y, verbose=0).history == same.fit(X, y, verbose=0).history


@every_backend
@pytest.mark.parametrize(
    ("activation", "slope"),
    [
        ("relu", 0.0),
        ("leaky_relu", 1.0),
        ("elu", 1.0),
        ("selu", 1.0507009873554805 * 1.6732632423543772),
        ("linear", 1.0),
        ("gelu", 0.5),
        ("silu", 0.5),
        ("tanh", 1.0),
    ],
)
def test_slopes_at_0(activation: str, slope: float, backend: str) -> None:
    """A unit that gives 0 and should give -1/2: a step of the rate 1 takes the slope off its bias."""
    unit = layers.Dense(1, activation, kernel_initializer="zeros", dtype="float64")
    model = net(unit, optimizer=optimizers.SGD(1.0), backend=backend)
    model.train_on_batch(np.zeros((1, 4)), [-0.5])
    assert model.get_weights()[1][0] == pytest.approx(-slope, rel=1e-14, abs=1e-300)


@every_backend
def test_huber_is_quadratic_up_to_delta(backend: str) -> None:
    for error, expected, slope in ((1.0, 0.5, 1.0), (-0.5, 0.125, -0.5), (3.0, 2.5, 1.0)):
        unit = layers.Dense(1, kernel_initializer="zeros", dtype="float64")
        model = net(unit, optimizer=optimizers.SGD(1.0), loss="huber", backend=backend)
        assert model.train_on_batch(np.zeros((1, 4)), [-error]) == expected
        assert model.get_weights()[1][0] == -slope


def test_gelu_is_exact_by_default() -> None:
    z = np.linspace(-3, 3, 7)
    exact = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in z]
    np.testing.assert_allclose(fastnn.activations.gelu(z), exact, rtol=1e-13, atol=1e-16)
    tanh = 0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    np.testing.assert_allclose(fastnn.activations.gelu(z, approximate=True), tanh, rtol=1e-13, atol=1e-16)


@every_backend
def test_two_units_of_a_softmax_learn_as_a_sigmoid(backend: str) -> None:
    """The sigmoid of the difference has the same loss, and each unit of the softmax half of its steps."""
    X, y = wave(9, 4), (wave(9, phase=1.0) > 0).astype(int)
    two = net(layers.Dense(2, "softmax", dtype="float64"), loss=SPARSE, backend=backend)
    unit = layers.Dense(1, "sigmoid", dtype="float64")
    one = net(unit, loss="binary_crossentropy", optimizer=optimizers.SGD(0.02), backend=backend)
    W, b = two.get_weights()
    one.set_weights([W[:, 1:] - W[:, :1], b[1:] - b[:1]])
    for _ in range(5):  # a step of 0.01 moves both units, their difference by twice as much
        assert two.train_on_batch(X, y) == pytest.approx(one.train_on_batch(X, y), rel=1e-12)
    W, b = two.get_weights()
    np.testing.assert_allclose(one.get_weights()[0], W[:, 1:] - W[:, :1], rtol=1e-10)


@every_backend
def test_accuracy_beside_any_loss(backend: str) -> None:
    """Which one is meant follows from the last layer and the targets, not from the loss."""
    X, y = blobs()
    onehot = net(layers.Dense(3, "softmax"), loss="mse", metrics=["accuracy"], backend=backend)
    right = (onehot.predict(X, verbose=0).argmax(axis=1) == y).mean()
    assert onehot.evaluate(X, np.eye(3)[y], verbose=0)[1] == pytest.approx(right)
    one = net(metrics=["acc"], backend=backend)  # a linear unit: its outputs are cut at 1/2
    right = ((one.predict(X, verbose=0)[:, 0] > 0.5) == (y > 0)).mean()
    assert one.evaluate(X, y > 0, verbose=0)[1] == pytest.approx(right)


# data


@every_backend
def test_predictions_are_columns(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = net(layers.Dense(1), backend=backend)
    out = model.predict(wave(5, 4))
    assert out.shape == (5, 1) and type(out) is np.ndarray
    assert capsys.readouterr().out == ""  # under a second of work


@pytest.mark.parametrize("backend", ["numba", "c"])
@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_no_second_copy_of_the_data(dtype: str, backend: str) -> None:
    """What is of another dtype is converted batch by batch."""
    model = net(layers.Dense(1), features=64, backend=backend)
    X = np.zeros((60_000, 64), dtype)
    y = np.zeros(len(X), np.float64)
    model.fit(X[:100], y[:100], verbose=0)
    model.evaluate(X[:100], y[:100], verbose=0)  # both programs are there, with the scratch of their threads
    tracemalloc.start()
    try:
        model.fit(X, y, batch_size=1000, verbose=0)
        model.evaluate(X, y, verbose=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000 < X.nbytes  # an order, and what a slice needs


def test_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = blobs(classes=2)
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = net(layers.Dense(1, "sigmoid"), loss="binary_crossentropy", metrics=["acc"])
    expected = model.evaluate(X, y, verbose=0)
    for given in (pandas.Series(y), pandas.DataFrame({"y": y}), pandas.Series(y > 0), pandas.Series(y, dtype="Int64")):
        assert model.evaluate(frame, given, verbose=0) == expected
    assert model.fit(frame, pandas.Series(y), validation_split=0.2, sample_weight=pandas.Series(y + 1.0), verbose=0)
    with pytest.raises(TypeError, match=r"X, column 'e' .*expected numbers"):
        model.predict(frame.drop(columns="d").assign(e="text"))
    frame.loc[7, "c"] = None
    with pytest.raises(ValueError, match=r"X is nan at row 7, column 2 \('c'\)"):
        model.fit(frame, y, verbose=0)


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, numpy as np, fastnn; from fastnn import layers;"
        "m = fastnn.Sequential([layers.Dense(1)]); m.compile('sgd', 'mse', backend='reference');"
        "m.fit(np.ones((4, 2)), np.ones(4), verbose=0); print('pandas' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "False\n", done.stderr


def test_arrays_of_others() -> None:
    """Whatever np.asarray makes numbers of."""

    class Tensor:
        def __init__(self, values: Array) -> None:
            self.values = values

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return np.asarray(self.values, dtype)

    X, y = blobs()
    model = classifier()
    expected = model.evaluate(X, y, verbose=0)
    assert model.evaluate(Tensor(X), Tensor(y), verbose=0) == expected
    assert model.evaluate([tuple(row) for row in X], tuple(y), verbose=0) == expected


# attributes that scripts read and set


@every_backend
def test_the_learning_rate_is_an_attribute(backend: str) -> None:
    model = net(backend=backend, optimizer="adam")
    assert model.optimizer is not None and model.optimizer.learning_rate == pytest.approx(1e-3)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.train_on_batch(wave(5, 4), wave(5))
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
    assert float(model.optimizer.learning_rate) == 0.0 and model.optimizer.iterations == 1


def test_the_session_can_be_cleared() -> None:
    model = classifier()
    before = model.get_weights()
    fastnn.backend.clear_session()
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))
    assert model.fit(*blobs(), verbose=0)


# what a call leaves behind


@every_backend
def test_a_model_lets_go_of_its_data(backend: str) -> None:
    model = net(backend=backend)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        X = wave(20, 4)
        gone = weakref.ref(X)
        call(X, wave(20))
        del X
        assert gone() is None, call


@every_backend
@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_refused_data_leave_no_input_shape(call: str, backend: str) -> None:
    """A model whose first data are refused may begin with others, on the same optimizer."""
    optimizer = optimizers.Adam(0.01)
    model = fastnn.Sequential([layers.Dense(3)])
    model.compile(optimizer, "mse", backend=load(backend))
    with pytest.raises(ValueError, match="row 1, column 3"):
        getattr(model, call)(np.where(np.arange(20)[:, None] == 8, np.nan, wave(20)[:, None]).reshape(4, 5), wave(4, 3))
    assert not model.built
    assert model.get_weights() == []
    model.compile(optimizer, "mse", backend=load(backend))
    model.fit(wave(10, 7), wave(10, 3), verbose=0)
    assert model.input_shape == (None, 7)
    assert optimizer.learning_rate == 0.01
