"""Models of several kinds of graphs, made alike of Keras and of fastnn, and how each is trained; see
`scripts/make_graph_golden.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

ROWS, BATCH, EPOCHS = 10, 4, 5

Array = Any
Made = tuple[Any, Any, Any]  # the model, its data, its targets


def wave(shape: tuple[int, ...], phase: float, scale: float = 1.0) -> Array:
    """Numbers that look unordered and are the same everywhere."""
    flat = [round(scale * math.sin(1.7 * i * i + 3.1 * i + phase), 4) for i in range(math.prod(shape))]
    return np.array(flat).reshape(shape)


def begin(model: Any) -> None:
    """Weights that do not depend on how many models were made before."""
    weights = [wave(w.shape, 0.4 + number, 0.5) for number, w in enumerate(model.get_weights())]
    model.set_weights(weights)


X, Z, REAL = wave((ROWS, 5), 0.3), wave((ROWS, 3), 0.9), wave((ROWS, 1), 0.2)
LABEL = np.array([(3 * i + i * i // 4) % 3 for i in range(ROWS)])
CODES, WORDS = (
    np.array([i * i % 7 for i in range(ROWS)]),
    np.array([[(i + 2 * j) % 5 for j in range(3)] for i in range(ROWS)]),
)
BINARY = (LABEL == 1).astype(float)


def wide_and_deep(keras: Any) -> Made:
    """Two inputs, one of them read twice."""
    layers = keras.layers
    wide, deep = keras.Input((3,), name="wide"), keras.Input((5,), name="deep")
    x = layers.Dense(6, activation="relu")(deep)
    x = layers.Dense(4, activation="tanh")(x)
    model = keras.Model([wide, deep], layers.Dense(1)(layers.concatenate([wide, x, deep])))
    begin(model)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model, [Z, X], REAL


def multi_task(keras: Any) -> Made:
    """Two heads on a shared body, with weights of the losses."""
    layers = keras.layers
    x = keras.Input((5,))
    body = layers.Dense(6, activation="tanh")(x)
    value = layers.Dense(1, name="value")(body)
    label = layers.Dense(3, activation="softmax", name="label")(layers.Add()([body, layers.Dense(6)(body)]))
    model = keras.Model(x, {"value": value, "label": label})
    begin(model)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        {"value": "mse", "label": "sparse_categorical_crossentropy"},
        metrics={"value": ["mae"], "label": ["accuracy"]},
        loss_weights={"value": 0.3, "label": 1.0},
    )
    return model, X, {"value": REAL, "label": LABEL}


def entities(keras: Any) -> Made:
    """Embeddings of columns and of several numbers in a row, with a penalty."""
    layers = keras.layers
    code, words, x = keras.Input((1,), dtype="int32"), keras.Input((3,), dtype="int32"), keras.Input((5,))
    first = layers.Flatten()(layers.Embedding(7, 2, embeddings_regularizer=keras.regularizers.L2(0.01))(code))
    second = layers.GlobalAveragePooling1D()(layers.Embedding(5, 3)(words))
    hidden = layers.Dense(4, activation="relu")(layers.Concatenate()([first, second, x]))
    model = keras.Model([code, words, x], layers.Dense(1, activation="sigmoid")(hidden))
    begin(model)
    model.compile(keras.optimizers.RMSprop(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model, [CODES[:, None], WORDS, X], BINARY


def merges(keras: Any) -> Made:
    """A shared layer, every merging layer, arithmetic on tensors."""
    layers = keras.layers
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(4, activation="tanh")
    u, v = shared(a), shared(b)
    merged = [
        layers.Multiply()([u, v]),
        layers.Average()([u, v, a]),
        layers.Maximum()([u, v]),
        layers.Minimum()([u, b]),
        layers.Subtract()([u, v]),
        layers.Dot(axes=1)([u, v]),
        2.0 * u - v / 4.0 + 1.0,
    ]
    model = keras.Model([a, b], layers.Dense(2)(layers.concatenate(merged)))
    begin(model)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model, [X[:, :4], wave((ROWS, 4), 1.3)], Z[:, :2]


def autoencoder(keras: Any) -> Made:
    """Trained whole; what is compared is its encoder, cut out of it."""
    layers = keras.layers
    x = keras.Input((5,))
    code = layers.Dense(2, activation="tanh", name="code")(layers.Dense(4, activation="relu")(x))
    whole = keras.Model(x, layers.Dense(5)(code))
    begin(whole)
    whole.compile("adam", "mse")
    whole.fit(X, X, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    encoder = keras.Model(whole.input, whole.get_layer("code").output)
    model = keras.Sequential([encoder, layers.Dense(1)])
    model.build((None, 5))
    model.layers[-1].set_weights([wave((2, 1), 0.1), wave((1,), 0.2)])
    model.compile(keras.optimizers.SGD(0.1), "mae")
    return model, X, REAL


def gan(keras: Any) -> Made:
    """Both halves by turns; what is compared is the generator through the frozen critic."""
    layers = keras.layers
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(5)])
    critic = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(1, activation="sigmoid")]
    )
    begin(generator)
    begin(critic)
    critic.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    critic.trainable = False
    noise = keras.Input((3,))
    model = keras.Model(noise, critic(generator(noise)))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    for _ in range(5):
        made = np.asarray(generator.predict(Z, verbose=0))
        critic.trainable = True  # Keras asks at each step, fastnn when a model is compiled
        critic.train_on_batch(np.concatenate([X, made]), np.repeat([1.0, 0.0], ROWS))
        critic.trainable = False
        model.train_on_batch(Z, np.ones(ROWS))
    return model, Z, np.ones(ROWS)


def residual(keras: Any) -> Made:
    """A subclass with blocks in a list."""

    class Residual(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(4)
            self.blocks = [keras.layers.Dense(4, activation="relu") for _ in range(2)]
            self.last = keras.layers.Dense(3, activation="softmax")

        def call(self, x: Any) -> Any:
            x = self.first(x)
            for block in self.blocks:
                x = x + block(x)
            return self.last(x)

    model = Residual()
    model(X)
    begin(model)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, X, LABEL


def own_layer(keras: Any) -> Made:
    """A layer with weights of its own: a matrix, a vector and a number."""

    class Periodic(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.units = units

        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight(shape=(input_shape[-1], self.units), regularizer="l2", name="w")
            self.phase = self.add_weight(shape=(self.units,), initializer="zeros", name="phase")
            self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

        def call(self, x: Any) -> Any:
            return keras.ops.sin(keras.ops.matmul(x, self.w) + self.phase) * keras.ops.exp(self.gain)

    model = keras.Sequential(
        [keras.Input((5,)), Periodic(4), keras.layers.Dense(3), Periodic(2), keras.layers.Dense(1)]
    )
    begin(model)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model, X, REAL


def functions(keras: Any) -> Made:
    """Most of `ops`, away from where their gradients jump."""
    ops, x = keras.ops, keras.Input((5,))
    h = keras.layers.Dense(4)(x)
    parts = [
        *(ops.sin(h), ops.cos(h), ops.tan(0.2 * h), ops.arctan(h), ops.sinh(h), ops.cosh(h), ops.erf(h), ops.expm1(h)),
        *(ops.log1p(ops.abs(h)), ops.sqrt(1 + ops.square(h)), ops.rsqrt(1 + h**2), ops.power(2.0, h), 1 / (3 + h)),
        *(
            ops.power(ops.abs(h) + 0.5, 1.7),
            ops.where(h > 0.1, ops.log(ops.maximum(h, 0.1)), h),
            ops.clip(h, -0.5, 0.5),
        ),
        *(ops.minimum(h, 0.2), ops.silu(h), ops.gelu(h), ops.softplus(h), ops.softmax(h), ops.sign(h), ops.floor(h)),
        *(ops.where(ops.logical_and(h > 0, ops.logical_not(h > 0.5)), h, 0.0), ops.round(3 * h), ops.negative(h)),
        *(ops.mean(h, axis=-1, keepdims=True), ops.sum(h, axis=-1, keepdims=True)),
    ]
    model = keras.Model(x, keras.layers.Dense(1)(ops.concatenate(parts, axis=-1)))
    begin(model)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model, X, REAL


def variational(keras: Any) -> Made:
    """A variational autoencoder whose noise is an input: a layer and the model add to the loss."""
    ops = keras.ops

    class Sampling(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            mean, log_variance, noise = inputs
            self.add_loss(-0.05 * ops.mean(1 + log_variance - ops.square(mean) - ops.exp(log_variance)))
            return mean + ops.exp(0.5 * log_variance) * noise

    class Variational(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.hidden = keras.layers.Dense(6, activation="tanh")
            self.mean, self.log_variance = keras.layers.Dense(3), keras.layers.Dense(3)
            self.sampling, self.out = Sampling(), keras.layers.Dense(5)

        def call(self, inputs: Any) -> Any:
            x, noise = inputs
            hidden = self.hidden(x)
            made = self.out(self.sampling([self.mean(hidden), self.log_variance(hidden), noise]))
            self.add_loss(0.1 * ops.mean(ops.abs(made)) + 0.2)
            self.add_loss(ops.mean(keras.losses.mean_squared_error(x, made)))
            return made

    model = Variational()
    model([X, Z]) if keras.__name__ == "keras" else model.build([(None, 5), (None, 3)])
    begin(model)
    model.compile(keras.optimizers.Adam(0.01), "mae", metrics=["mse"])
    return model, [X, Z], X


def two_modes(keras: Any) -> Made:
    """A layer and a model that are others in training: a branch and its loss, a layer, a factor, and what is not
    trained."""
    ops, layers = keras.ops, keras.layers

    class Either(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.always, self.often, self.seldom = layers.Dense(4, "tanh"), layers.Dense(4), layers.Dense(4)

        def call(self, x: Any, training: Any = None) -> Any:
            x = self.always(x)
            return x - self.often(x) if training else x + self.seldom(x)

    class TwoModes(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.noise = layers.Dense(6, "tanh"), layers.Dense(6, kernel_regularizer="l2")
            self.norm, self.either, self.last = layers.BatchNormalization(), Either(), layers.Dense(1)

        def call(self, x: Any, training: bool = False) -> Any:
            h = self.first(x)
            if training:
                h = self.norm(h + self.noise(h), training=training)
                self.add_loss(0.1 * ops.mean(ops.abs(h)))
            h = self.either(h, training=training)
            self.add_loss(0.3 * ops.mean(h * h))
            return self.last(2 * h if training else h)

    model = TwoModes()
    if keras.__name__ == "keras":
        for training in (True, False):  # which each build what they use
            model(X, training=training)
    else:
        model.build((None, 5))
    begin(model)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model, X, REAL


MODELS: dict[str, Callable[[Any], Made]] = {
    build.__name__: build
    for build in (
        *(wide_and_deep, multi_task, entities, merges, autoencoder, gan, residual, own_layer, functions),
        *(variational, two_modes),
    )
}


def results(keras: Any, name: str) -> dict[str, Any]:
    """What comes of a training, as plain data."""
    model, x, y = MODELS[name](keras)
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0).history
    predicted = model.predict(x, verbose=0)
    outputs = predicted if isinstance(predicted, dict) else {"": predicted}
    return {
        "history": {key: [float(value) for value in values] for key, values in history.items()},
        "evaluate": np.ravel(model.evaluate(x, y, batch_size=BATCH, verbose=0)).astype(float).tolist(),
        "weights": [np.asarray(w, np.float64).tolist() for w in model.get_weights()],
        "predict": {key: np.asarray(value, np.float64).tolist() for key, value in outputs.items()},
    }
