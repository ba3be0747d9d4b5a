"""Rows of shape (1, K), which an Embedding of one class number gives: they are vectors, as where they are flat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import gradcheck, layers, ops
from fastnn.errors import ArgumentError
from nets import wave

RANDOM = np.random.RandomState(7)
CODES = [RANDOM.randint(0, 5, (40, 1)), RANDOM.randint(0, 6, (40, 1))]
Y = RANDOM.standard_normal(40)

# What is made of two embeddings of width 3 as they are, its shape in Keras, and the same of flat ones.
Use = tuple[Callable[[Any, Any], Any], tuple[int, ...], Callable[[Any, Any], Any]]
USES: list[Use] = [
    (lambda u, v: layers.Dot(axes=2)([u, v]), (1, 1), lambda u, v: layers.Dot(axes=1)([u, v])),
    (lambda u, v: layers.dot([u, v], axes=(2, -1)), (1, 1), lambda u, v: layers.dot([u, v], axes=1)),
    (lambda u, v: layers.Dot(-1, True)([u, v]), (1, 1), lambda u, v: layers.Dot(1, normalize=True)([u, v])),
    (lambda u, v: layers.Dot((2, 1))([u, layers.Flatten()(v)]), (1,), lambda u, v: layers.Dot(-1)([u, v])),
    (lambda u, v: layers.Multiply()([u, v]), (1, 3), lambda u, v: u * v),
    (lambda u, v: layers.Concatenate()([u, v]), (1, 6), lambda u, v: layers.Concatenate()([u, v])),
    (lambda u, v: layers.concatenate([u, v], axis=2), (1, 6), lambda u, v: layers.concatenate([u, v], axis=1)),
    (lambda u, v: layers.Concatenate(axis=1)([u, v]), (2, 3), lambda u, v: layers.Concatenate(axis=1)([u, v])),
    (lambda u, v: ops.concatenate([u, v], axis=-1), (1, 6), lambda u, v: ops.concatenate([u, v], axis=1)),
    (lambda u, v: ops.sum(u * v, axis=-1), (1,), lambda u, v: ops.sum(u * v, axis=-1, keepdims=True)),
    (lambda u, v: layers.Dot(2)([u, v]) + layers.Dense(1)(u), (1, 1), lambda u, v: layers.Dot(1)([u, v]) + dense(u)),
    (lambda u, v: ops.mean(u, axis=2, keepdims=True) * v, (1, 3), lambda u, v: ops.mean(u, 1, keepdims=True) * v),
    (lambda u, v: layers.Add()([layers.Dense(1)(u), v]), (1, 3), lambda u, v: layers.Add()([dense(u), v])),
    (lambda u, v: layers.Dense(2, "tanh")(u - v), (1, 2), lambda u, v: layers.Dense(2, "tanh")(u - v)),
    (lambda u, v: ops.softmax(u), (1, 3), lambda u, v: ops.softmax(u)),
]


def dense(x: Any) -> Any:
    return layers.Dense(1)(x)


def trained(use: Callable[[Any, Any], Any], flat: bool) -> tuple[tuple[int | None, ...], list[float]]:
    """The shape of what comes out, and the logs of a training from weights that depend on their shapes alone."""
    inputs = [fastnn.Input((1,), dtype="int32") for _ in CODES]
    tables = [layers.Embedding(count, 3)(x) for count, x in zip((5, 6), inputs, strict=True)]
    made = use(*[layers.Flatten()(table) if flat else table for table in tables])
    model = fastnn.Model(inputs, layers.Dense(1)(layers.Flatten()(made)))
    model.set_weights([wave(*weights.shape) for weights in model.get_weights()])
    model.compile("adam", "mse", backend="reference")
    return made.shape, model.fit(CODES, Y, epochs=2, batch_size=20, shuffle=False, verbose=0).history["loss"]


def test_they_are_what_flat_ones_are() -> None:
    for use, row, flat in USES:
        shape, losses = trained(use, False)
        assert shape == (None, *row)
        assert losses == trained(flat, True)[1]


def test_what_a_recommender_gives() -> None:
    """Keras's shapes to the end, its number for targets (B,), (B, 1) and (B, 1, 1), and a gradient of differences."""
    users, items = fastnn.Input((1,), dtype="int32"), fastnn.Input((1,), dtype="int32")
    tables = [layers.Embedding(5, 3, dtype="float64"), layers.Embedding(6, 3, dtype="float64")]
    model = fastnn.Model([users, items], layers.Dot(axes=2, dtype="float64")([tables[0](users), tables[1](items)]))
    model.compile("sgd", "mse", backend="reference")
    u, v = (table.embeddings[codes] for table, codes in zip(tables, CODES, strict=True))
    wanted = np.sum(u * v, axis=-1, keepdims=True)
    found = model.predict(CODES, verbose=0)
    assert found.shape == (40, 1, 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    for targets in (Y[:, None], Y[:, None, None]):
        loss = model.evaluate(CODES, targets, verbose=0)
        np.testing.assert_allclose(loss, np.mean((wanted[:, 0, 0] - Y) ** 2), rtol=1e-6)
    assert gradcheck.check(model, [codes[:9] for codes in CODES], Y[:9, None, None])


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda x: layers.Dot(axes=1)([x, x]), r"rows of shapes \(2, 3\), \(2, 3\) and axes=1, expected two vectors"),
        (lambda x: layers.Dot(axes=3)([x, x]), r"axis 3 of rows of shape \(2, 3\), expected -1 or one from 1 to 2"),
        (lambda x: layers.Concatenate()([x, x]), r"cannot stand beside each other along axis -1; add Flatten\(\)"),
        (lambda x: layers.Dense(2)(x), r"rows that come in have shape \(2, 3\), expected \(I,\); add Flatten"),
        (lambda x: ops.softmax(x), r"softmax of a tensor with rows of shape \(2, 3\), expected \(N,\); flatten"),
        (lambda x: ops.sum(x, axis=-1), "has more than one axis to sum over; flatten it first"),
    ],
)
def test_several_vectors_in_a_row(use: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        use(fastnn.Input((2, 3)))
