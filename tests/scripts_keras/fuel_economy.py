"""Regression on columns of very different scale: a Normalization layer, a validation split, and early stopping."""

# mypy: ignore-errors

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(812)

# cylinders, displacement, horsepower, weight, year -> miles per gallon
rng = np.random.default_rng(0)
n = 400
cylinders = rng.choice([4.0, 6.0, 8.0], n)
displacement = 40.0 * cylinders + rng.normal(0, 20, n)
horsepower = 15.0 * cylinders + rng.normal(0, 15, n)
weight = 450.0 * cylinders + 600 + rng.normal(0, 200, n)
year = rng.integers(70, 83, n).astype("float64")
mpg = 46.0 - 0.0065 * weight - 0.04 * horsepower + 0.5 * (year - 76) + rng.normal(0, 1.0, n)
features = np.column_stack([cylinders, displacement, horsepower, weight, year])

train_features, test_features = features[:320], features[320:]
train_labels, test_labels = mpg[:320], mpg[320:]

normalizer = layers.Normalization(axis=-1)
normalizer.adapt(np.array(train_features))


def build_and_compile_model(norm):
    model = keras.Sequential(
        [norm, layers.Dense(64, activation="relu"), layers.Dense(64, activation="relu"), layers.Dense(1)]
    )
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Adam(0.01), metrics=["mse"])
    return model


dnn_model = build_and_compile_model(normalizer)
early_stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True)
history = dnn_model.fit(
    train_features, train_labels, validation_split=0.2, verbose=0, epochs=120, callbacks=[early_stop]
)
dnn_model.summary()

test_results = {"dnn_model": dnn_model.evaluate(test_features, test_labels, verbose=0)}
test_predictions = dnn_model.predict(test_features).flatten()
error = test_predictions - test_labels
print("mean absolute error", np.abs(error).mean(), "best epoch", int(np.argmin(history.history["val_loss"])))

assert test_results["dnn_model"][0] < 1.6, test_results  # the noise alone is 0.8, the labels spread by 5
assert abs(np.abs(error).mean() - test_results["dnn_model"][0]) < 1e-3
assert len(history.epoch) <= 120 and min(history.history["val_loss"]) < 2
