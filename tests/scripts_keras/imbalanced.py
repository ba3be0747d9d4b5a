"""A rare class, of which the loss sees more by class weights."""

# mypy: ignore-errors

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(9)
rng = np.random.default_rng(9)
n = 3000
X = rng.normal(size=(n, 6)).astype("float32")
risk = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(0, 0.3, n)
y = (risk > np.quantile(risk, 0.95)).astype("int32")
train, test = slice(0, 2400), slice(2400, n)

neg, pos = np.bincount(y[train])
print(f"Examples: {neg + pos}, positive: {pos} ({100 * pos / (neg + pos):.2f}% of total)")
class_weight = {0: (neg + pos) / (2.0 * neg), 1: (neg + pos) / (2.0 * pos)}


def make_model(output_bias=None):
    if output_bias is not None:
        output_bias = keras.initializers.Constant(output_bias)
    model = keras.Sequential(
        [
            keras.Input(shape=(6,)),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(1, activation="sigmoid", bias_initializer=output_bias or "zeros"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=3e-3),
        loss=keras.losses.BinaryCrossentropy(),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy"), keras.metrics.MeanSquaredError(name="brier")],
        weighted_metrics=[keras.metrics.BinaryAccuracy(name="balanced")],
    )
    return model


def recall(model):
    found = model.predict(X[test], verbose=0)[:, 0] > 0.5
    return found[y[test] == 1].mean(), found[y[test] == 0].mean()


start = make_model(float(np.log(pos / neg)))
before = start.evaluate(X[train], y[train], batch_size=256, verbose=0)[0]
plain, weighted = make_model(), make_model()
plain.fit(X[train], y[train], batch_size=256, epochs=20, verbose=0)
history = weighted.fit(X[train], y[train], batch_size=256, epochs=20, verbose=0, class_weight=class_weight)
print("recall and false alarms:", recall(plain), "weighted:", recall(weighted))

assert before < 0.35, before  # log 2 without the bias
assert recall(weighted)[0] > max(0.75, recall(plain)[0] + 0.1) and recall(weighted)[1] < 0.25
assert sorted(history.history) == ["accuracy", "balanced", "brier", "loss"]
