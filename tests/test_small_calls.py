"""Thousands of calls with one row, as agents that learn while they play make them: right, and without growing."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn as keras
from nets import every_backend, net, wave
from support import load

X, Y = wave(1, 4), wave(1)

CALLS: dict[str, Callable[[keras.Sequential], Any]] = {
    "predict": lambda model: model.predict(X, verbose=0),
    "call": lambda model: model(X),
    "fit": lambda model: model.fit(X, Y, verbose=0),
    "fit with a callback": lambda model: model.fit(X, Y, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y, sample_weight=np.ones(1)),
    "learning rate": lambda model: setattr(model.optimizer, "learning_rate", 0.5),
    "weights": lambda model: model.set_weights(model.get_weights()),
}


@every_backend
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_is_left_behind(call: Callable[[keras.Sequential], Any], backend: str) -> None:
    """Not even what the garbage collector would find: it runs rarely."""
    model = net(backend=backend, optimizer="adam")
    gc.freeze()  # what is there already is not looked at, which would take a second
    for _ in range(5):
        call(model)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(50):
            call(model)
        assert len(gc.get_objects()) - before < 25
    finally:
        gc.unfreeze()
        gc.enable()


class Corridor:
    """A game of five places: to the right is the prize."""

    def __init__(self) -> None:
        self.place = 0

    def reset(self) -> Any:
        self.place = 0
        return self.state()

    def state(self) -> Any:
        return np.eye(5)[self.place].reshape(1, 5)

    def step(self, action: int) -> tuple[Any, float, bool]:
        self.place = max(0, self.place + (1 if action else -1))
        done = self.place == 4
        return self.state(), 1.0 if done else -0.1, done


@every_backend
def test_an_agent_learns(backend: str) -> None:
    """Q-learning with a copy of the network for the targets, as scripts do it."""
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)

    def network() -> keras.Sequential:
        model = keras.models.Sequential()
        model.add(keras.layers.Dense(16, input_dim=5, activation="relu"))
        model.add(keras.layers.Dense(2, activation="linear"))
        model.compile(loss="mse", optimizer=keras.optimizers.Adam(learning_rate=0.02), backend=load(backend))
        return model

    model, target = network(), network()
    keras.config.set_seed(None)
    game = Corridor()
    for game_number in range(12):
        state, done, steps = game.reset(), False, 0
        while not done and steps < 30:
            greedy = int(np.argmax(model.predict(state, verbose=0)[0]))
            action = int(rng.integers(2)) if rng.random() < 0.3 else greedy
            after, reward, done = game.step(action)
            wanted = model.predict(state, verbose=0)
            wanted[0][action] = reward if done else reward + 0.9 * np.amax(target.predict(after, verbose=0)[0])
            model.fit(state, wanted, epochs=1, verbose=0)
            state, steps = after, steps + 1
        if game_number % 2 == 1:
            target.set_weights(model.get_weights())
    assert [int(np.argmax(row)) for row in model.predict(np.eye(5)[:4], verbose=0)] == [1, 1, 1, 1]


@every_backend
def test_policy_gradients(backend: str) -> None:
    """A bandit of three arms: advantages are signed sample weights."""
    rng = np.random.default_rng(0)
    model = net(
        keras.layers.Dense(3, activation="softmax"),
        backend=backend,
        optimizer=keras.optimizers.SGD(0.5),
        loss="sparse_categorical_crossentropy",
    )
    state = np.ones((1, 4))
    for _ in range(150):
        probabilities = model.predict(state, verbose=0)[0].astype(np.float64)
        arm = int(rng.choice(3, p=probabilities / probabilities.sum()))
        advantage = np.array([1.0 if arm == 2 else -0.5])
        model.train_on_batch(state, np.array([arm]), sample_weight=advantage)
    assert model.predict(state, verbose=0)[0, 2] > 0.9
