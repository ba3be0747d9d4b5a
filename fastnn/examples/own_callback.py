"""A callback of one's own: it stops at a goal, and keeps what it saw.

$ python -m fastnn.examples.own_callback
0.88 reached in epoch 10: 0.881
"""

from __future__ import annotations

from typing import Any

import fastnn as keras
from fastnn import layers


class UntilGoal(keras.callbacks.Callback):
    """Ends the training at a validation accuracy.

    Args:
        goal: from 0 to 1.
    """

    def __init__(self, goal: float) -> None:
        super().__init__()
        self.goal = goal
        self.seen: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After each epoch; `logs` has what is printed."""
        self.seen.append(logs["val_accuracy"])
        self.model.stop_training = self.seen[-1] >= self.goal

    def on_train_end(self, logs: Any = None) -> None:
        """Once, however the training ends."""
        print(f"{self.goal} reached in epoch {len(self.seen)}: {self.seen[-1]:.3f}")


keras.utils.set_random_seed(0)
X, y = keras.datasets.load_digits()
model = keras.Sequential([layers.Dense(64, "relu"), layers.Dense(10, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
halved = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch % 10 == 9 else rate)
model.fit(X, y, epochs=100, validation_split=0.2, callbacks=[UntilGoal(0.88), halved], verbose=0)
