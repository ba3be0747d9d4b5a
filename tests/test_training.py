"""fit, evaluate and the `*_on_batch` methods: what they do, in which order, and that it can be repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.backends.protocol import Program
from fastnn.core import random
from fastnn.engine.slices import Pace
from nets import Array, blobs, classifier, every_backend, net, wave
from support import load

N = 23
X, Y = wave(N, 4), wave(N, 2, phase=1.0)


def descend(W: Array, b: Array, batches: list[Array], lr: float, w: Array | None = None) -> tuple[Array, Array, float]:
    """Gradient descent on mse by plain NumPy, and the mean loss before each update."""
    total = 0.0
    w = np.ones(N) if w is None else w
    for rows in batches:
        e = X[rows] @ W + b - Y[rows]
        total += float((w[rows, None] * e * e).sum() / Y.shape[1])
        dZ = 2 * w[rows, None] * e / e.size
        W, b = W - lr * X[rows].T @ dZ, b - lr * dZ.sum(axis=0)
    return W, b, total / sum(rows.size for rows in batches)


def linear(backend: str, **arguments: Any) -> fastnn.Sequential:
    return net(layers.Dense(2, dtype="float64"), optimizer=optimizers.SGD(0.1), backend=backend, **arguments)


@every_backend
@pytest.mark.parametrize("batch_size", [1, 7, N, 100])
def test_gradient_descent(batch_size: int, backend: str) -> None:
    """Stochastic, mini-batch and batch; the short last batch is trained on."""
    model = linear(backend)
    W, b = model.get_weights()
    history = model.fit(X, Y, batch_size=batch_size, epochs=3, shuffle=False, verbose=0).history
    rows = np.arange(N)
    batches = [rows[i : i + batch_size] for i in range(0, N, batch_size)]
    for epoch in range(3):
        W, b, loss = descend(W, b, batches, 0.1)
        assert history["loss"][epoch] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(model.get_weights()[0], W, rtol=1e-11)
    assert model.optimizer is not None and model.optimizer.iterations == 3 * len(batches)


@every_backend
@pytest.mark.parametrize("shuffle", [True, 1, np.True_])
def test_shuffle_is_the_permutation_of_the_epoch(shuffle: Any, backend: str) -> None:
    model = linear(backend)
    W, b = model.get_weights()
    model.fit(X, Y, batch_size=5, epochs=2, shuffle=shuffle, verbose=0)
    for epoch in range(2):
        order = random.permutation(model.seed, epoch, N)
        W, b, _ = descend(W, b, [order[i : i + 5] for i in range(0, N, 5)], 0.1)
    np.testing.assert_allclose(model.get_weights()[0], W, rtol=1e-11)


def weights_of(model: fastnn.Sequential) -> Array:
    return np.concatenate([w.ravel() for w in model.get_weights()])


@every_backend
def test_stop_and_resume(backend: str) -> None:
    """fit(4) equals fit(2) and fit(initial_epoch=2, epochs=4), to the bit, dropout included."""

    def model() -> fastnn.Sequential:
        return net(layers.Dense(6, "relu"), layers.Dropout(0.3), layers.Dense(2), optimizer="adam", backend=backend)

    whole, parts = model(), model()
    a = whole.fit(X, Y, batch_size=6, epochs=4, verbose=0)
    b = parts.fit(X, Y, batch_size=6, epochs=2, verbose=0)
    c = parts.fit(X, Y, batch_size=6, initial_epoch=2, epochs=4, verbose=0)
    assert (weights_of(whole) == weights_of(parts)).all()
    assert a.history["loss"] == b.history["loss"] + c.history["loss"]
    assert (b.epoch, c.epoch) == ([0, 1], [2, 3])


@every_backend
def test_slices_do_not_matter(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> tuple[Array, Any]:
        model = classifier(backend, metrics=["accuracy"])
        history = model.fit(*blobs(), batch_size=7, epochs=2, verbose=0).history
        return weights_of(model), history

    expected = trained()
    monkeypatch.setattr(Pace, "measured", lambda self, steps, seconds: setattr(self, "steps", 3))
    weights, history = trained()
    assert (weights == expected[0]).all()
    assert history == expected[1]


def test_backends_agree_to_the_bit() -> None:
    results = []
    for backend in ("reference", "numba"):
        model = classifier(backend, metrics=["accuracy"])
        history = model.fit(*blobs(), batch_size=7, epochs=3, verbose=0, validation_split=0.2).history
        results.append((history, weights_of(model)))
    assert results[0][0] == results[1][0]
    assert (results[0][1] == results[1][1]).all()


def test_pace() -> None:
    pace = Pace()
    assert pace.steps == 1
    pace.measured(1, 5.0)  # compiling
    assert pace.steps == 1
    pace.measured(1, 1e-6)
    assert pace.steps == 8
    pace.measured(8, 8e-3)
    assert pace.steps == 50
    pace.measured(50, 0.5)
    assert pace.steps == 5


@every_backend
@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int64", "uint64", "float16", "float32", "float64"]
)
def test_dtypes_of_X(dtype: str, backend: str) -> None:
    given = (np.abs(X) * 3).astype(dtype)
    model, same = linear(backend), linear(backend)
    model.fit(given, Y, batch_size=7, verbose=0)
    same.fit(given.astype(np.float64), Y, batch_size=7, verbose=0)
    assert (weights_of(model) == weights_of(same)).all()


@every_backend
def test_strides_of_X(backend: str) -> None:
    wide = np.asfortranarray(wave(2 * N, 8))
    given = wide[::-2, ::2]
    model, same = linear(backend), linear(backend)
    model.fit(given, Y, batch_size=7, verbose=0)
    same.fit(given.copy(), np.array(Y, order="F"), batch_size=7, verbose=0)
    assert (weights_of(model) == weights_of(same)).all()


@every_backend
def test_X_and_y_are_not_changed(backend: str) -> None:
    model = linear(backend)
    x, y, w = X.copy(), Y.copy(), np.ones(N)
    for array in (x, y, w):
        array.setflags(write=False)
    model.fit(x, y, sample_weight=w, verbose=0)
    assert (x == X).all() and (y == Y).all()


@every_backend
def test_validation_split_takes_the_last_rows(backend: str) -> None:
    w = np.abs(wave(N, phase=4.0))
    model, same = linear(backend, metrics=["mae"]), linear(backend, metrics=["mae"])
    a = model.fit(X, Y, validation_split=0.3, sample_weight=w, epochs=2, verbose=0).history
    cut = int(np.floor(N * 0.7))
    held = (X[cut:], Y[cut:], w[cut:])
    b = same.fit(X[:cut], Y[:cut], sample_weight=w[:cut], validation_data=held, epochs=2, verbose=0).history
    assert a == b
    assert list(a) == ["loss", "mae", "val_loss", "val_mae"]
    assert a["val_loss"][-1] == same.evaluate(*held[:2], sample_weight=held[2], verbose=0)[0]


@every_backend
def test_class_weight(backend: str) -> None:
    x, y = blobs()
    model, same = classifier(backend), classifier(backend)
    onehot = classifier(backend, loss="categorical_crossentropy")
    weight = {0: 0.5, 2: 3.0}  # a class not listed weighs 1
    each = np.array([0.5, 1.0, 3.0])[y]
    a = model.fit(x, y, class_weight=weight, verbose=0).history
    b = same.fit(x, y, sample_weight=each, verbose=0).history
    c = onehot.fit(x, np.eye(3)[y], class_weight=weight, verbose=0).history
    assert a == b and (weights_of(model) == weights_of(same)).all()
    assert c["loss"] == pytest.approx(a["loss"], rel=1e-6)
    # and not in validation
    history = model.fit(x, y, class_weight=weight, validation_split=0.5, verbose=0).history
    assert history["val_loss"][0] == model.evaluate(x[30:], y[30:], verbose=0)


@every_backend
def test_signed_sample_weights(backend: str) -> None:
    w = wave(N, phase=5.0)
    assert (w < 0).any()
    model = linear(backend)
    W, b = model.get_weights()
    history = model.fit(X, Y, batch_size=N, sample_weight=w[:, None], shuffle=False, verbose=0).history
    W, b, loss = descend(W, b, [np.arange(N)], 0.1, w)
    np.testing.assert_allclose(model.get_weights()[0], W, rtol=1e-11)
    assert history["loss"] == [pytest.approx(loss, rel=1e-12)]


@every_backend
def test_on_batch(backend: str) -> None:
    model = linear(backend)
    with_metrics = linear(backend, metrics=["mae"])
    expected = model.evaluate(X, Y, verbose=0)
    assert isinstance(expected, float)
    assert model.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-14)
    assert model.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-14)
    assert model.train_on_batch(X, Y) < expected
    values = with_metrics.train_on_batch(X, Y)
    assert isinstance(values, list) and len(values) == 2
    assert with_metrics.test_on_batch(X, Y, return_dict=True).keys() == {"loss", "mae"}
    assert with_metrics.evaluate(X, Y, verbose=0, return_dict=True).keys() == {"loss", "mae"}


@every_backend
def test_linear_and_logistic_regression(backend: str) -> None:
    """A layer without activation finds the least squares; a sigmoid learns to separate."""
    model = net(layers.Dense(2, dtype="float64"), optimizer=optimizers.SGD(0.5), backend=backend)
    model.fit(X, Y, batch_size=N, epochs=400, verbose=0)
    design = np.column_stack([X, np.ones(N)])
    solution = np.linalg.lstsq(design, Y, rcond=None)[0]
    np.testing.assert_allclose(np.vstack(model.get_weights()), solution, atol=1e-6)
    x, y = blobs(classes=2)
    logistic = net(
        layers.Dense(1, "sigmoid"),
        optimizer=optimizers.SGD(1.0),
        loss="binary_crossentropy",
        metrics=["accuracy"],
        backend=backend,
    )
    logistic.fit(x, y, epochs=10, verbose=0)
    assert logistic.evaluate(x, y, verbose=0)[1] == 1.0


@every_backend
def test_no_epochs(backend: str) -> None:
    model = linear(backend)
    before = weights_of(model)
    history = model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0)
    assert history.history == {} and (weights_of(model) == before).all()


class _Stop(fastnn.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            raise KeyboardInterrupt


@every_backend
def test_an_exception_leaves_the_model_at_the_last_step(backend: str) -> None:
    model, same = linear(backend), linear(backend)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=2, shuffle=False, verbose=0, callbacks=_Stop())
    for i in (0, 2, 4):
        same.train_on_batch(X[i : i + 2], Y[i : i + 2])
    assert (weights_of(model) == weights_of(same)).all()
    model.fit(X, Y, verbose=0)


def test_ctrl_c_waits_for_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the middle of a step of the interpreted program ends the training after that step."""
    assert threading.current_thread() is threading.main_thread()
    model, same = linear("reference"), linear("reference")
    update = Program._update

    def interrupted(self: Program) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        update(self)

    monkeypatch.setattr(Program, "_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=2, shuffle=False, verbose=0)
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    same.train_on_batch(X[:2], Y[:2])
    assert (weights_of(model) == weights_of(same)).all()
    assert model.optimizer is not None and model.optimizer.iterations == 1


CTRL_C = """
import os, signal, threading
import numpy as np
import fastnn
from fastnn import layers
model = fastnn.Sequential([fastnn.Input((64,)), layers.Dense(64, "relu"), layers.Dense(1)])
model.compile("adam", "mse", backend={backend!r})
X, y = np.ones((512, 64), np.float32), np.ones(512, np.float32)
model.fit(X, y, verbose=0)
pid = os.getpid()
hooks = fastnn.callbacks.LambdaCallback(
    on_epoch_begin=lambda epoch, logs: epoch or threading.Timer(0.3, os.kill, (pid, signal.SIGINT)).start()
)
try:
    model.fit(X, y, epochs=10**9, verbose=0, callbacks=[hooks])
except KeyboardInterrupt:
    assert np.isfinite(model.predict(X, verbose=0)).all()
    model.fit(X, y, verbose=0)
    print("stopped", model.optimizer.iterations > 16)
"""


@every_backend
def test_ctrl_c_in_a_process_of_its_own(backend: str) -> None:
    load(backend)
    code = CTRL_C.format(backend=backend)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "stopped True\n", done.stderr


@every_backend
def test_training_in_threads(backend: str) -> None:
    """Fits side by side give the bits of fits one after the other; Ctrl-C handling stays out of other threads."""
    expected = classifier(backend)
    expected.fit(*blobs(), epochs=2, verbose=0)
    models = [classifier(backend) for _ in range(3)]
    threads = [threading.Thread(target=m.fit, args=blobs(), kwargs={"epochs": 2, "verbose": 0}) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((weights_of(model) == weights_of(expected)).all() for model in models)
