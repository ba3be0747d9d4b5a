"""The same training on every backend: the same bits, in different times.

$ python -m fastnn.examples.compare_backends
numba: weights 9983d7c4eda7, 57,114 samples/s
c: weights 9983d7c4eda7, 1,040,701 samples/s
reference: weights 9983d7c4eda7, 1,186 samples/s

`fastnn compare` measures properly: in fresh processes, in rounds, beside other libraries.
"""

from __future__ import annotations

import hashlib
import time

import numpy as np

import fastnn as keras
from fastnn import layers

X, y = (array[:256] for array in keras.datasets.load_digits())

for backend in ("numba", "c", "reference"):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", backend=backend)
    model.fit(X, y, epochs=1, verbose=0)  # the first use has its own cost
    start = time.perf_counter()
    model.fit(X, y, epochs=2, verbose=0)
    speed = 2 * len(X) / (time.perf_counter() - start)
    bits = b"".join(np.ascontiguousarray(weight).tobytes() for weight in model.get_weights())
    print(f"{backend}: weights {hashlib.sha256(bits).hexdigest()[:12]}, {speed:,.0f} samples/s")
