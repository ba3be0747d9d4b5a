"""What asks a model in the middle of its steps, a signal handler or another thread, gets what is of one step, or one
clear error; the bits of the training are those of a training alone."""

from __future__ import annotations

import copy
import itertools
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from fastnn.backends.passes import Passes
from fastnn.backends.protocol import Program
from fastnn.engine import slices
from fastnn.errors import BusyError
from nets import Array, every_backend, net, wave
from support import load

X, Y = wave(96, 4).astype("float32"), wave(96, 2, phase=1.0).astype("float32")
SIGNAL = getattr(signal, "SIGUSR1", signal.SIGINT)

Model = fastnn.Sequential


def model(backend: str) -> Model:
    """With everything that a step changes: weights, statistics, slots, the optimizer's running products."""
    stack = (layers.Dense(5, "relu"), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(2))
    return net(*stack, backend=backend, optimizer="adam", metrics=["mae"])


def all_of(one: Any) -> bytes:
    """The bits of all that a training changes."""
    state = one.engine().state
    vectors = (state.theta, state.statistics, *state.slots, state.scalars, state.counters)
    return b"".join(vector.tobytes() for vector in vectors)


def saved(one: Any, path: Path) -> Any:
    """A model that was saved and loaded."""
    one.save(path)
    return fastnn.load_model(path, backend="reference")


def flat(arrays: list[Array]) -> bytes:
    return b"".join(array.tobytes() for array in arrays)


READS: dict[str, Callable[[Any, Path], Any]] = {
    "predict": lambda one, path: one.predict(X, batch_size=96, verbose=0),
    "evaluate": lambda one, path: one.evaluate(X, Y, verbose=0),
    "predict_on_batch": lambda one, path: one.predict_on_batch(X[:7]),
    "call": lambda one, path: one(X),
    "test_on_batch": lambda one, path: one.test_on_batch(X, Y),
    "get_weights": lambda one, path: np.concatenate([array.ravel() for array in one.get_weights()]),
    "layer": lambda one, path: one.layers[0](X),
    "deepcopy": lambda one, path: copy.deepcopy(one).predict(X, verbose=0),
    "pickle": lambda one, path: pickle.loads(pickle.dumps(one)).predict(X, verbose=0),
    "save": lambda one, path: saved(one, path).predict(X, verbose=0),
}
WRITES: dict[str, Callable[[Any, Path], Any]] = {
    "fit": lambda one, path: one.fit(X, Y, verbose=0),
    "train_on_batch": lambda one, path: one.train_on_batch(X, Y),
    "set_weights": lambda one, path: one.set_weights(one.get_weights()),
    "layer": lambda one, path: one.layers[0].set_weights(one.layers[0].get_weights()),
    "load_weights": lambda one, path: one.load_weights(path),
    "compile": lambda one, path: one.compile("sgd", "mse", backend="reference"),
    "connect": lambda one, path: fastnn.Sequential([*one.layers, layers.Dense(3)]).predict(X, verbose=0),
}


@contextmanager
def signals(patch: pytest.MonkeyPatch, program: Program, handler: Callable[[], Any]) -> Iterator[None]:
    """A signal before and after each run of compiled code, in the middle of each step of the reference, and between
    slices; none while its handler runs."""
    asking = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asking
        if not asking:
            asking = True
            try:
                handler()
            finally:
                asking = False

    def around(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            signal.raise_signal(SIGNAL)
            result = method(*arguments, **options)
            signal.raise_signal(SIGNAL)
            return result

        return run

    before = signal.signal(SIGNAL, handle)
    try:
        with patch.context() as patched:
            methods: list[tuple[Any, str]] = [(slices.Pace, "measured"), (Passes, "_forward"), (Program, "_update")]
            for owner, name in [*methods[:1], (type(program), "_launch")] if not program.interpreted else methods:
                patched.setattr(owner, name, around(getattr(owner, name)))
            yield
    finally:
        signal.signal(SIGNAL, before)


def twin(one: Model) -> Any:
    """Another model of the same layers: both lie in one store."""
    other = fastnn.Sequential([fastnn.Input((4,)), *one.layers])
    other.compile("adam", "mse", metrics=["mae"], backend=one.engine().backend)
    return other


def two(backend: str, shared: bool) -> tuple[Model, Any]:
    """A model, and what the handler asks: it, or another one of the same weights."""
    one = model(load(backend).name)
    return one, twin(one) if shared else one


def trained(one: Model) -> list[float]:
    one.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=0)
    return [*one.train_on_batch(X, Y), *one.test_on_batch(X, Y)]


@every_backend
@pytest.mark.parametrize("shared", [False, True], ids=["itself", "shared"])
def test_a_signal_handler_that_asks(
    backend: str, shared: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Right answers from buffers of its own where weights are those of a whole step, as between compiled ones."""
    one, asked = two(backend, shared)
    alone, _ = two(backend, shared)
    results = trained(alone)
    found: list[tuple[list[Array], str, Any]] = []
    refused, turns = 0, itertools.cycle(READS)

    def handler() -> None:
        nonlocal refused
        for name in [next(turns) for _ in range(2)]:
            read = READS[name]
            try:
                found.append((asked.get_weights(), name, read(asked, tmp_path / "model")))
            except BusyError as error:
                assert "in the middle of a step" in str(error)
                refused += 1

    with signals(monkeypatch, one.engine().program, handler):
        assert trained(one) == results
    assert all_of(one) == all_of(alone)
    assert len(found) > 20 and (refused > 0) == (backend == "reference")
    same = model("reference")
    for weights, name, result in found[:: 1 + len(found) // 12]:
        same.set_weights(weights)
        np.testing.assert_array_equal(result, READS[name](same, tmp_path / "same"))


@every_backend
@pytest.mark.parametrize("shared", [False, True], ids=["itself", "shared"])
def test_a_signal_handler_that_trains(
    backend: str, shared: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is refused in the middle of a step, and of a fit."""
    one, asked = two(backend, shared)
    alone, _ = two(backend, shared)
    asked.save_weights(tmp_path / "weights")
    results = trained(alone)
    refused = []
    names = [name for name in WRITES if name != "compile" or not shared]

    def handler() -> None:
        for name in names:
            with pytest.raises(BusyError, match=r"flag|after fit"):
                WRITES[name](asked, tmp_path / "weights")
            refused.append(name)

    history = one.history
    one.fit(X[:1], Y[:1], epochs=0, verbose=0)
    with signals(monkeypatch, one.engine().program, handler):
        one.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=0)
    assert set(refused) == set(names) and one.history is not history
    assert [*one.train_on_batch(X, Y), *one.test_on_batch(X, Y)] == results
    assert all_of(one) == all_of(alone)


@every_backend
def test_callbacks_may_do_anything(backend: str, tmp_path: Path) -> None:
    """Where no step runs: the same calls."""
    one, done = model(load(backend).name), []
    one.save_weights(tmp_path / "weights")
    calls = {f"read {name}": call for name, call in READS.items()} | WRITES
    del calls["compile"], calls["fit"]

    class Asks(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            for name, call in calls.items():
                call(one, tmp_path / ("weights" if name == "load_weights" else "model"))
                done.append(name)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:
                inner = one.history
                one.fit(X, Y, verbose=0)
                one.history = inner

    one.fit(X, Y, epochs=2, callbacks=[Asks()], verbose=0)
    assert set(done) == set(calls)


@every_backend
def test_layers_connected_with_others_in_a_callback_go_on_training(backend: str) -> None:
    """Their weights move to another store, and the training follows."""
    one, alone = model(load(backend).name), model(backend)
    probe: list[Any] = []

    def connect(batch: int, logs: Any) -> None:
        probe.append(fastnn.Sequential([*one.layers[:2], layers.Dense(3)]))
        probe[-1].predict(X, verbose=0)

    one.fit(X, Y, epochs=2, callbacks=[callbacks.LambdaCallback(on_epoch_begin=connect)], verbose=0)
    alone.fit(X, Y, epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(one.get_weights(), alone.get_weights(), strict=True))
    assert one.optimizer is not None and one.optimizer.iterations == 6


# other threads


@every_backend
def test_snapshots_beside_a_training_thread(backend: str, tmp_path: Path) -> None:
    """Each is of one step, which its own counter names."""
    one, alone = model(load(backend).name), model(backend)
    one.train_on_batch(X, Y)
    enough = threading.Event()

    def train() -> None:
        while not enough.is_set():
            one.train_on_batch(X, Y)

    ways: list[Callable[[], Any]] = [
        lambda: copy.deepcopy(one),
        lambda: pickle.loads(pickle.dumps(one)),
        lambda: copy.deepcopy([one.layers[0], one])[1],
        lambda: saved(one, tmp_path / "model"),
    ]
    beside = threading.Thread(target=train)
    beside.start()
    copies, weights = [], []
    for _ in range(4):
        copies += [way() for way in ways]
        weights.append(one.get_weights())
    enough.set()
    beside.join()
    assert one.optimizer is not None and copies[-1].optimizer.iterations <= one.optimizer.iterations
    wanted = {flat(arrays) for arrays in weights}
    for step in range(1, one.optimizer.iterations + 1):
        alone.train_on_batch(X, Y)
        wanted.discard(flat(alone.get_weights()))
        for other in copies:
            assert other.optimizer.iterations != step or all_of(other) == all_of(alone)
    assert not wanted and all_of(one) == all_of(alone)


@pytest.mark.parametrize("backend", ["c", "reference"])
def test_first_use_in_threads(backend: str) -> None:
    """A model that is not built: all threads predict with the same weights, and no training is lost."""
    load(backend)

    def made() -> Model:
        one = fastnn.Sequential([layers.Dense(300, "relu"), layers.Dense(1)])
        one.compile("sgd", "mse", backend=backend)
        return one

    def at_once(*works: Callable[[], Any]) -> list[Any]:
        results, meet = [], threading.Barrier(len(works))

        def run(work: Callable[[], Any]) -> None:
            meet.wait()
            results.append(work())

        threads = [threading.Thread(target=run, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == len(works)
        return results

    for _ in range(5):
        one = made()
        predict = partial(one.predict, X, verbose=0)
        predictions = at_once(predict, predict, predict)
        assert all((found == predictions[0]).all() for found in predictions) and predictions[0].any()
        one = made()
        fit = partial(one.fit, X, Y[:, 0], verbose=0)
        at_once(fit, partial(fit, epochs=2))
        assert one.optimizer is not None and one.optimizer.iterations == 9
        one = made()
        at_once(partial(one.fit, X, Y[:, 0], verbose=0), partial(refused, one))
        assert one.optimizer is not None and one.optimizer.iterations == 3


def refused(one: Model) -> None:
    """Data of another shape, which are refused, and with them the input shape."""
    with pytest.raises(ValueError):
        one.fit(np.full((4, 3), np.nan), np.zeros(4), verbose=0)


# what is fixed while a model trains


def changes() -> dict[str, Callable[[Any], Any]]:
    return {
        "compile": lambda one: one.compile("sgd", "mse"),
        "Sequential.add": lambda one: one.add(layers.Dense(1)),
        "Sequential.pop": lambda one: one.pop(),
    }


@pytest.mark.parametrize("name", changes())
def test_what_cannot_be_changed_while_a_model_trains(name: str) -> None:
    one, alone = net(layers.Dense(2, "tanh")), net(layers.Dense(2, "tanh"))
    inner = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(4)])
    outer = net(inner, layers.Dense(2))

    def change(which: Any) -> Any:
        def hook(*_: Any) -> None:
            with pytest.raises(BusyError, match=rf'^{name}: ".*" is training; do it after fit'):
                changes()[name](which)

        hooks = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end")
        return callbacks.LambdaCallback(**dict.fromkeys(hooks, hook))

    one.fit(X, Y, callbacks=[change(one)], verbose=0)
    alone.fit(X, Y, verbose=0)
    assert all_of(one) == all_of(alone)
    outer.fit(X, Y, callbacks=[change(inner)], verbose=0)
    end = callbacks.LambdaCallback(on_train_end=lambda logs: changes()[name](one))
    one.fit(X, Y, callbacks=[end], verbose=0)  # after the last step it can
    assert (one.optimizer is None) == (name != "compile")


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin"])
@every_backend
def test_stop_training_before_a_step_takes_one_step(hook: str, backend: str) -> None:
    """As Keras does; validation and the hooks at the end follow."""
    one, seen = model(load(backend).name), []

    def stop(*_: Any) -> None:
        one.stop_training = True

    told: dict[str, Any] = {
        name: lambda *_, name=name: seen.append(name)
        for name in ("on_test_end", "on_epoch_end", "on_train_end", hook.replace("begin", "end"))
    }
    one.fit(X, Y, epochs=3, verbose=0)  # slices are long from now on
    one.fit(
        X,
        Y,
        epochs=9,
        batch_size=2,
        validation_data=(X, Y),
        verbose=0,
        callbacks=[callbacks.LambdaCallback(**{hook: stop}, **told)],
    )
    assert one.optimizer is not None and one.optimizer.iterations == 9 + 1
    assert seen[-3:] == ["on_test_end", "on_epoch_end", "on_train_end"]


class Block(layers.Layer):
    """With all that is made while it is built."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, "relu")

    def build(self, input_shape: Any = None) -> None:
        self.factor = self.add_weight(shape=(3,), initializer="ones")

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = self.dense(x) * self.factor
        self.add_loss(0.01 * fastnn.ops.mean(x))
        return x if training else x + 0.5


class Composed(fastnn.Model):
    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block, self.last = block, layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.last(self.block(x))


def composed(backend: str, block: Block | None = None) -> Any:
    made = Composed(block or Block())
    made.seed = 5
    made.compile("sgd", "mse", backend=backend)
    return made


def test_handlers_while_a_model_is_built() -> None:
    """At many places in it: the answer is whole, or one error, and the model is what it is without them."""
    made, seen = composed("reference"), set()
    expected = made.predict(X[:3], verbose=0)
    for place in itertools.count(0, 331):
        made, left = composed("reference"), [place, 0]

        def interrupt(frame: Any, event: str, value: object, made: Any = made, left: list[int] = left) -> None:
            left[0] -= frame.f_globals.get("__name__", "").startswith("fastnn.")
            if left[0] < 0:
                sys.setprofile(None)
                left[1] = 1
                try:
                    seen.add(made.predict(X[:3], verbose=0).tobytes())
                except BusyError:
                    seen.add("busy")

        sys.setprofile(interrupt)
        try:
            made.build((None, 4))
        finally:
            sys.setprofile(None)
        assert made.predict(X[:3], verbose=0).tobytes() == expected.tobytes() and len(made.get_weights()) == 5
        if not left[1]:
            break
    assert seen == {expected.tobytes(), "busy"}


@every_backend
def test_models_with_one_layer_are_built_by_threads(backend: str) -> None:
    load(backend)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(5):
            block = Block()
            several = [composed(backend, block), composed(backend, block), fastnn.Sequential([block, layers.Dense(2)])]
            with ThreadPoolExecutor(3) as pool:
                for one in [pool.submit(model.predict, X, verbose=0) for model in several]:
                    assert one.result().shape == (96, 2)
            assert len(block.get_weights()) == 3
    finally:
        sys.setswitchinterval(before)


def test_ctrl_c_while_a_model_is_built() -> None:
    """It can be built again, and is what it is without it."""
    made = composed("reference")
    expected = made.predict(X[:3], verbose=0).tobytes()
    for place in itertools.count(0, 331):
        made, left = composed("reference"), [place]

        def interrupt(frame: Any, event: str, value: object, left: list[int] = left) -> None:
            left[0] -= frame.f_globals.get("__name__", "").startswith("fastnn.")
            if left[0] < 0 and event == "call" and not frame.f_code.co_name.startswith("<"):  # no generator that ends
                sys.setprofile(None)
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        with suppress(KeyboardInterrupt):
            made.build((None, 4))
        sys.setprofile(None)
        assert made.predict(X[:3], verbose=0).tobytes() == expected and len(made.get_weights()) == 5
        made.train_on_batch(X[:3], Y[:3])
        if left[0] >= 0:
            break
