"""Clipped gradients: steps against plain NumPy, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import layers, optimizers
from fastnn.errors import ArgumentError, FastnnError
from nets import Array, every_backend, net, wave


def by_value(gradients: list[Array], limit: float) -> list[Array]:
    return [np.clip(g, -limit, limit) for g in gradients]


def by_norm(gradients: list[Array], limit: float) -> list[Array]:
    return [g * min(1.0, limit / np.sqrt((g * g).sum())) for g in gradients]


def by_global_norm(gradients: list[Array], limit: float) -> list[Array]:
    norm = np.sqrt(sum((g * g).sum() for g in gradients))
    return [g * min(1.0, limit / norm) for g in gradients]


CLIPS = {"clipvalue": by_value, "clipnorm": by_norm, "global_clipnorm": by_global_norm}


@every_backend
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("limit", [0.05, 0.3, 100.0])
@pytest.mark.parametrize("clip", CLIPS)
def test_steps(clip: str, limit: float, frozen: bool, backend: str) -> None:
    """Two layers, so that norms of one array and of all differ; what is frozen counts for no norm."""
    first = layers.Dense(3, "tanh", trainable=not frozen, dtype="float64")
    last = layers.Dense(2, kernel_regularizer="l2", dtype="float64")
    model = net(first, last, optimizer=optimizers.SGD(0.5, **{clip: limit}), backend=backend)  # type: ignore[arg-type]
    X, y = wave(6, 4), wave(6, 2, phase=1.0)
    W1, b1, W2, b2 = model.get_weights()
    for _ in range(3):
        H = np.tanh(X @ W1 + b1)
        dZ = 2 * (H @ W2 + b2 - y) / y.size
        dH = dZ @ W2.T * (1 - H * H)
        gradients = [H.T @ dZ + 0.02 * W2, dZ.sum(axis=0)]
        if not frozen:
            gradients = [X.T @ dH, dH.sum(axis=0), *gradients]
        clipped = CLIPS[clip](gradients, limit)
        changed = any((c != g).any() for c, g in zip(clipped, gradients, strict=True))
        assert changed == (limit < 1.0)
        dW2, db2 = clipped[-2:]
        W2, b2 = W2 - 0.5 * dW2, b2 - 0.5 * db2
        if not frozen:
            W1, b1 = W1 - 0.5 * clipped[0], b1 - 0.5 * clipped[1]
        model.train_on_batch(X, y)
    for ours, expected in zip(model.get_weights(), (W1, b1, W2, b2), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-11)


@every_backend
@pytest.mark.parametrize("clip", CLIPS)
def test_a_limit_that_nothing_reaches_changes_no_bit(clip: str, backend: str) -> None:
    X, y = wave(20, 4), wave(20)
    weights = []
    limits: tuple[dict[str, Any], ...] = ({}, {clip: 1e6})
    for told in limits:
        model = net(layers.Dense(5, "tanh"), layers.Dense(1), optimizer=optimizers.Adam(**told), backend=backend)
        model.fit(X, y, batch_size=4, epochs=2, verbose=0)
        weights.append(model.get_weights())
    assert all((a == b).all() for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("clip", CLIPS)
def test_config(clip: str) -> None:
    limit: dict[str, Any] = {clip: 0.5}
    optimizer = optimizers.RMSprop(**limit)
    again = optimizers.get({"class_name": "RMSprop", "config": optimizer.get_config()})
    assert again.get_config() == optimizer.get_config()
    assert getattr(again, clip) == 0.5 and again.spec() == optimizer.spec()
    net(optimizer=optimizer)
    with pytest.raises(ArgumentError, match=f"{clip} is fixed once a model is compiled"):
        setattr(optimizer, clip, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clipnorm": 0}, "clipnorm is 0, expected a number > 0"),
        ({"clipvalue": -1.0}, "clipvalue is -1.0, expected a number > 0"),
        ({"global_clipnorm": float("nan")}, "global_clipnorm is nan"),
        ({"clipnorm": "big"}, "clipnorm is str 'big', expected a number"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "clipnorm and clipvalue are given, expected one way"),
        ({"global_clipnorm": 1.0, "clipvalue": 1.0}, "clipvalue and global_clipnorm are given, expected one way"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    for kind in optimizers.CLASSES:
        with pytest.raises(FastnnError, match=message):
            kind(**arguments)
