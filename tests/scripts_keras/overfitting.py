"""Too many weights for too few rows: what penalties and dropout do, and a callback that watches."""

# mypy: ignore-errors

import keras
import numpy as np
from keras import layers, regularizers

keras.utils.set_random_seed(4)
rng = np.random.default_rng(4)
X = rng.normal(size=(260, 20))
y = (X[:, :3].sum(axis=1) + rng.normal(0, 0.7, 260) > 0).astype("float32")
train, valid = slice(0, 60), slice(60, 260)


class Watch(keras.callbacks.Callback):
    """Keeps the gap between validation and training, and stops when the training is all right."""

    def __init__(self):
        super().__init__()
        self.gaps, self.steps, self.began = [], 0, False

    def on_train_begin(self, logs=None):
        self.began = True
        assert self.params["epochs"] == 150

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        assert logs["loss"] >= 0

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        self.gaps.append(logs["val_loss"] - logs["loss"])
        if logs["loss"] < 0.005:
            self.model.stop_training = True


def fit(penalty, rate):
    model = keras.Sequential()
    model.add(layers.Dense(128, activation="elu", kernel_regularizer=penalty, input_shape=(20,)))
    model.add(layers.Dropout(rate))
    model.add(layers.Dense(128, activation="elu", kernel_regularizer=penalty))
    model.add(layers.Dropout(rate))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy", metrics=["accuracy"])
    watch = Watch()
    told = {"validation_data": (X[valid], y[valid]), "epochs": 150, "verbose": 0, "callbacks": [watch]}
    history = model.fit(X[train], y[train], **told)
    return model, watch, history


large, watch, history = fit(None, 0.0)
combined, _, _ = fit(regularizers.L2(0.01), 0.4)
print("stopped after", len(history.epoch), "epochs, gap", watch.gaps[-1])
sizes = [np.square(model.layers[0].get_weights()[0]).sum() for model in (large, combined)]
print("squares of the weights:", sizes)

assert watch.began and watch.steps == 2 * len(history.epoch) and len(history.epoch) < 150
assert watch.gaps[-1] > 0.3 > 0.005 > history.history["loss"][-1]
assert sizes[1] < sizes[0] / 2
assert combined.evaluate(X[valid], y[valid], verbose=0)[1] > 0.7
