"""The "hello world" of neural networks: one unit learns y = 2x - 1 from six points."""

# mypy: ignore-errors

import keras
import numpy as np

model = keras.Sequential([keras.layers.Dense(units=1, input_shape=[1])])
model.compile(optimizer="sgd", loss="mean_squared_error")

xs = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0], dtype=float)
ys = np.array([-3.0, -1.0, 1.0, 3.0, 5.0, 7.0], dtype=float)
history = model.fit(xs, ys, epochs=500, verbose=0)

print(model.predict(np.array([10.0])))
(kernel, bias) = model.layers[0].get_weights()
print("Weights:", kernel, bias)

assert abs(model.predict(np.array([10.0]))[0][0] - 19.0) < 0.2
assert abs(kernel[0][0] - 2.0) < 0.05 and abs(bias[0] + 1.0) < 0.1
assert len(history.history["loss"]) == 500
