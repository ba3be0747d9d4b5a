"""A training loop of one's own, with train_on_batch and test_on_batch."""

# mypy: ignore-errors

import keras
import numpy as np
from keras.layers import Dense, LeakyReLU
from keras.models import Sequential

keras.utils.set_random_seed(6)
X = np.random.uniform(-2, 2, (512, 3)).astype("float32")
y = (X[:, :1] * X[:, 1:2] + X[:, 2:]) / 2

model = Sequential(
    [keras.Input(shape=(3,)), Dense(32), LeakyReLU(negative_slope=0.1), Dense(32, activation="relu"), Dense(1)]
)
model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(0.01), metrics=["mae"])
print(model.metrics_names)

batch_size = 64
for epoch in range(40):
    order = np.random.permutation(len(X))
    for i in range(len(X) // batch_size):
        rows = order[i * batch_size : (i + 1) * batch_size]
        loss, mae = model.train_on_batch(X[rows], y[rows])
    if epoch == 29:
        model.optimizer.learning_rate = 0.001
loss, mae = model.test_on_batch(X, y)
result = model.test_on_batch(X, y, return_dict=True)
print("loss:", loss, result)

assert loss < 0.02, loss
assert abs(result["loss"] - loss) < 1e-5 and set(result) == {"loss", "mae"}
assert np.allclose(model.predict_on_batch(X[:5]), model.predict(X[:5], verbose=0), atol=1e-5)
