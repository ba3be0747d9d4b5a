"""Callbacks that set the learning rate and write files while a net learns a wave."""

# mypy: ignore-errors

import csv
import os

import keras
import numpy as np
from keras.callbacks import CSVLogger, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from keras.layers import Dense
from keras.models import Sequential, load_model

keras.utils.set_random_seed(2)
x = np.linspace(-3, 3, 400).reshape(-1, 1)
y = np.sin(x) + 0.05 * np.random.randn(400, 1)
order = np.random.permutation(400)
x, y = x[order], y[order]


def build(optimizer):
    model = Sequential([Dense(32, activation="tanh", input_shape=(1,)), Dense(32, activation="tanh"), Dense(1)])
    model.compile(loss="mse", optimizer=optimizer, metrics=["mae"])
    return model


model = build(keras.optimizers.Adam(learning_rate=0.01))
callbacks = [
    ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True, verbose=0),
    ModelCheckpoint("weights-{epoch:02d}-{val_loss:.2f}.weights.h5", save_weights_only=True),
    ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5, min_lr=1e-5),
    CSVLogger("training.log"),
    EarlyStopping(monitor="val_loss", patience=40, mode="min"),
]
history = model.fit(x, y, epochs=60, batch_size=32, validation_split=0.25, callbacks=callbacks, verbose=0)

best = load_model("best.keras")
loss, mae = best.evaluate(x[300:], y[300:], verbose=0)
with open("training.log") as file:
    rows = list(csv.DictReader(file))
print("best validation loss:", loss, "epochs:", len(rows))

assert loss < 0.02, loss
assert abs(loss - min(history.history["val_loss"])) < 1e-5
assert len(rows) == len(history.epoch) == len([name for name in os.listdir() if name.endswith(".weights.h5")])
assert float(rows[-1]["val_mae"]) == history.history["val_mae"][-1]
assert model.optimizer.learning_rate <= 0.01 and "learning_rate" in history.history


# the same with rates that are known beforehand: by epoch, then by step
def schedule(epoch, lr):
    return lr if epoch < 30 else lr * 0.9


model = build(keras.optimizers.RMSprop(0.01))
model.fit(x, y, epochs=40, callbacks=[LearningRateScheduler(schedule)], verbose=0)
assert abs(float(model.optimizer.learning_rate) - 0.01 * 0.9**10) < 1e-6
assert model.evaluate(x, y, verbose=0)[0] < 0.05

decay = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=200, decay_rate=0.5, staircase=True)
model = build(keras.optimizers.Adam(decay))
model.fit(x, y, epochs=40, verbose=0)
assert model.evaluate(x, y, verbose=0)[0] < 0.05
