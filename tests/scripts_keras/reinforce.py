"""A policy gradient: actions are labels, and advantages, which have a sign, are the weights of the rows."""

# mypy: ignore-errors

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(5)
rng = np.random.default_rng(5)

model = keras.Sequential(
    [keras.Input(shape=(2,)), layers.Dense(16, activation="tanh"), layers.Dense(3, activation="softmax")]
)
model.compile(loss="sparse_categorical_crossentropy", optimizer=keras.optimizers.Adam(learning_rate=0.02))


def best(states):
    return np.where(states[:, 0] > 0.3, 0, np.where(states[:, 1] > 0, 1, 2))


for _ in range(60):
    states = rng.uniform(-1, 1, (64, 2)).astype("float32")
    probabilities = model.predict(states, verbose=0)
    actions = np.array([rng.choice(3, p=p / p.sum()) for p in probabilities.astype("float64")])
    rewards = (actions == best(states)).astype("float32")
    advantages = rewards - rewards.mean()
    model.train_on_batch(states, actions, sample_weight=advantages)

states = rng.uniform(-1, 1, (500, 2)).astype("float32")
right = (model.predict(states, verbose=0).argmax(axis=1) == best(states)).mean()
print("right actions:", right)
assert right > 0.7, right
